import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { literalPrefix } from '#sidecar/routing/regex-prefix.ts';
import { hasRegex, prepareRegexes } from '#sidecar/routing/regex.ts';

import { makeGroup, makeRoute, regexFactory } from './models.ts';

const regexes = await regexFactory();

test('a snapshot without a regular expression loads no library', async () => {
  const factory = await prepareRegexes({ routes: [makeGroup([makeRoute()])] });
  expect(() => factory.whole('a')).toThrow('is not loaded');
});

const found = (changes: Parameters<typeof makeRoute>[0]): boolean =>
  hasRegex(makeGroup([makeRoute(changes)]));

test('regular expressions are found wherever a route may have one', () => {
  const text = { kind: 'regex', value: 'a' } as const;
  const path = { kind: 'regex', match: 'a', value: 'b' } as const;
  expect(found({ matches: [{}, { authority: text }] })).toBe(true);
  expect(found({ matches: [{ headers: [{ name: 'a', match: text }] }] })).toBe(true);
  expect(found({ matches: [{ query: [{ name: 'a', match: text }] }] })).toBe(true);
  expect(found({ rewrite: { path } })).toBe(true);
  expect(found({ action: { kind: 'redirect', status: 301, path } })).toBe(true);
  const lists = { allowMethods: [], allowHeaders: [], exposeHeaders: [] };
  expect(found({ cors: { allowOrigins: [text], ...lists } })).toBe(true);
  expect(found({ matches: [{ path: { kind: 'exact', value: 'a' } }] })).toBe(false);
});

test.each([
  ['a(', 'missing closing'],
  ['a(?=b)', 'invalid'],
  [String.raw`(a)\1`, 'invalid escape'],
  ['(a{1000}){1000}', 'repeat count'],
  ['(x+){999}', 'it has 3998 instructions, more than 1000'],
])('%s is refused', (pattern, why) => {
  expect(() => regexes.whole(pattern)).toThrow(`regular expression ${JSON.stringify(pattern)}: `);
  expect(() => regexes.whole(pattern)).toThrow(why);
});

test.each(['(a+)+b', '(a|aa)*c', '(a*)*b', '(.*)(.*)(.*)(.*)x', '([a-z]+)*!'])(
  '%s does not cost more than its text is long',
  (pattern) => {
    const regex = regexes.whole(pattern);
    // Backtracking would take longer than the universe; a minute is no close call.
    expect(regex.matches('a'.repeat(50_000))).toBe(false);
  },
  60_000,
);

test.each([
  ['a*', '-', 'baaac', '-b-c-'],
  ['', '-', 'ab', '-a-b-'],
  ['a', String.raw`[\0]`, 'banana', 'b[a]n[a]n[a]'],
  ['(x)|(y)', String.raw`<\1\2>`, 'xy', '<x><y>'],
  ['b', String.raw`\\`, 'abc', String.raw`a\c`],
  ['b', '$1$&', 'abc', 'a$1$&c'],
  ['z', 'y', 'abc', 'abc'],
])('replacing %j by %j in %j as RE2 does', (pattern, substitution, text, made) => {
  expect(regexes.replacer(pattern, substitution)(text)).toBe(made);
});

test('a substitution that names no group is refused', () => {
  expect(() => regexes.replacer('(a)', String.raw`\2`)).toThrow(String.raw`\2, which is no group`);
  expect(() => regexes.replacer('(a)', String.raw`\n`)).toThrow('no group');
  expect(() => regexes.replacer('(a)', 'x\\')).toThrow('no group');
});

test.each([
  ['/api/v[0-9]+', '/api/v'],
  ['^/api/.*', '/api/'],
  ['/apis?/x', '/api'],
  ['/a{0,2}', '/'],
  ['/a+', '/'],
  ['/a|b', ''],
  ['(?i)/a', ''],
  [String.raw`/a\.b`, '/a'],
  ['.*', ''],
])('what %j matches begins with %j', (pattern, text) => {
  expect(literalPrefix(pattern)).toBe(text);
});

function isMet(pattern: string, text: string): boolean {
  try {
    return regexes.whole(pattern).matches(text);
  } catch {
    return false;
  }
}

test('whatever a regular expression matches begins with its literal text', () => {
  const piece = fc.constantFrom(
    'a',
    '/',
    'b',
    '.*',
    '[ab]',
    '(a/)?',
    'b+',
    'a?',
    '/{1,2}',
    '^',
    '|',
  );
  const holds = fc.check(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 8 }),
      (pieces, text) => {
        const pattern = pieces.join('');
        return !isMet(pattern, text) || text.startsWith(literalPrefix(pattern));
      },
    ),
    { numRuns: 3000 },
  );
  expect(fc.defaultReportMessage(holds) ?? '').toBe('');
});
