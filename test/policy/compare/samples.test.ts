// Representatives: whatever combination of patterns a text meets, some representative meets the same.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { PathNormalization } from '#api/kinds/mesh-config.ts';
import { sampleAddresses } from '#policy/compare/addresses.ts';
import {
  anyText,
  headerText,
  hostText,
  identityText,
  type Language,
  pathText,
} from '#policy/compare/language.ts';
import { sampleTexts } from '#policy/compare/samples.ts';
import { type Shape, shapeOf, templateShape } from '#policy/compare/shape.ts';
import { containsIp, parseIpBlock, readIp } from '#policy/match/ip.ts';
import { parseTemplate } from '#policy/match/template.ts';
import { readPattern, TextSet } from '#policy/match/text.ts';
import { normalizePath } from '#policy/path.ts';

const piece = fc.constantFrom('a', 'b', 'ab', '/', '.', '%', '4', '1', 'e', '2', '-', '*', 'A');
const word = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join(''));
const pattern = fc
  .tuple(word, fc.constantFrom('exact', 'prefix', 'suffix'))
  .map(([text, form]) =>
    form === 'exact' ? text || 'a' : form === 'prefix' ? `${text}*` : `*${text}`,
  );

/** Which patterns a text meets, by the matchers that decide. */
function met(patterns: readonly string[], text: string): string {
  return patterns.map((one) => Number(new TextSet([readPattern(one)]).matches(text))).join('');
}

function holds(language: Language, text: string): boolean {
  let state: string | null = language.start;
  for (const char of text) {
    state = state === null ? null : language.next(state, char);
  }
  return state !== null && language.ends(state);
}

function shapes(patterns: readonly string[]): Shape[] {
  return patterns.map((one) => shapeOf(readPattern(one)));
}

test.each([
  ['claims', anyText],
  ['headers', headerText],
  ['hosts', hostText],
  ['paths', pathText('DEFAULT')],
  ['merged paths', pathText('DECODE_AND_MERGE_SLASHES')],
])('every combination of patterns that %s can meet has a representative', (_, language) => {
  const text = fc.array(piece, { maxLength: 7 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 5 }), text, (patterns, rest) => {
      const { texts, complete } = sampleTexts(shapes(patterns), language);
      expect(complete).toBe(true);
      for (const one of texts)
        expect({ one, holds: holds(language, one) }).toMatchObject({ holds: true });
      for (const one of [rest, `/${rest}`]) {
        if (!holds(language, one)) continue;
        const sampled = texts.map((each) => met(patterns, each));
        expect({ one, texts, sampled }).toMatchObject({
          sampled: expect.arrayContaining([met(patterns, one)]) as string[],
        });
      }
    }),
    { numRuns: 1_000, seed: 11 },
  );
});

test('templates have their representatives too', () => {
  const templates = ['/a/{*}', '/{*}/b', '/a/{**}', '/{**}/b', '/{*}/{**}', '/a/{*}/b'];
  const parsed = templates.map((one) => parseTemplate(one));
  const bits = (path: string): string => parsed.map((one) => Number(one?.matches(path))).join('');
  const { texts } = sampleTexts(
    templates.map((one) => templateShape(one) ?? []),
    pathText('DEFAULT'),
  );
  const sampled = new Set(texts.map(bits));
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('/', 'a', 'b', '/a', '/b', '/c', '[', '//'), { maxLength: 8 }),
      (parts) => {
        const path = normalizePath(`/${parts.join('')}`, 'DEFAULT') ?? '/';
        expect({ path, known: sampled.has(bits(path)) }).toEqual({ path, known: true });
      },
    ),
    { numRuns: 2_000, seed: 12 },
  );
});

test.each(['NONE', 'DEFAULT', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as PathNormalization[])(
  'the language of paths is what normalization %s leaves',
  (normalization) => {
    const language = pathText(normalization);
    const part = fc.constantFrom(
      '/',
      '.',
      '..',
      '%',
      '2',
      'e',
      'F',
      '4',
      '1',
      '%2f',
      '%5C',
      '%00',
      '%25',
      'a',
      '\\',
      '"',
      '~',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        const raw = `/${parts.join('')}`;
        const normal = normalizePath(raw, normalization);
        expect({ raw, normal, is: normal === null || holds(language, normal) }).toMatchObject({
          is: true,
        });
        expect({ raw, is: holds(language, raw) }).toEqual({ raw, is: normal === raw });
      }),
      { numRuns: 5_000, seed: 13 },
    );
  },
);

test('identities are names that Kubernetes allows, of the trust domains of the mesh', () => {
  const language = identityText(['cluster.local', 'td']);
  expect(holds(language, 'spiffe://td/ns/a-b/sa/c.d')).toBe(true);
  expect(holds(language, 'spiffe://other/ns/a/sa/b')).toBe(false);
  expect(holds(language, 'spiffe://td/ns/a-/sa/b')).toBe(false);
  expect(holds(language, 'spiffe://td/ns/a/sa/b/c')).toBe(false);
});

function within(blocks: readonly string[], ip: string): string {
  return blocks.map((one) => Number(containsIp(parseIpBlock(one)!, readIp(ip)))).join('');
}

test('every combination of blocks that an address lies in has a representative', () => {
  const address = fc.constantFrom(
    '10.0.0.1',
    '10.0.0.255',
    '10.1.0.0',
    '9.9.9.9',
    '::1',
    '2001:db8::5',
    '::ffff:1.2.3.4',
  );
  const block = fc.tuple(address, fc.nat(32)).map(([ip, length]) => `${ip}/${length}`);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(block, address), { maxLength: 5 }),
      fc.oneof(fc.ipV4(), fc.ipV6(), address),
      (blocks, ip) => {
        const sampled = sampleAddresses(blocks, false).map((one) => within(blocks, one));
        expect(sampled).toContain(within(blocks, ip));
      },
    ),
    { numRuns: 2_000, seed: 14 },
  );
  expect(sampleAddresses([], true)).toEqual(['0.0.0.0', '::', '::1:0:0:0']);
});

test('patterns that are too many to be told apart are said to be so', () => {
  const suffixes = ['*ab', '*ba', '*aab', '*bba'];
  expect(sampleTexts(shapes(suffixes), anyText).complete).toBe(true);
  expect(sampleTexts(shapes(suffixes), anyText, 50).complete).toBe(false);
});
