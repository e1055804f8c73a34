import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { ForwardAction, StickyKey } from '#api/traffic/route.ts';
import { choose } from '#sidecar/routing/choose.ts';
import type { CompiledForward } from '#sidecar/routing/compiled-route.ts';
import { compileRoute } from '#sidecar/routing/compile-route.ts';
import { hashOf, stickyCookie } from '#sidecar/routing/hash-key.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';

import { makeRequest, makeRoute } from './models.ts';

const regexes = await prepareRegexes({});
/** FNV-1a; whichever hash it is does not matter here. */
const hashText = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
};

function compile(weights: readonly number[], sticky?: StickyKey): CompiledForward {
  const destinations = weights.map((weight, i) => ({
    destination: { host: `d${i}`, port: 80, subset: '' },
    weight,
  }));
  const plain: ForwardAction = { kind: 'forward', destinations };
  const action = sticky === undefined ? plain : { ...plain, sticky };
  const { action: compiled } = compileRoute(makeRoute({ action }), null, regexes);
  if (compiled.kind !== 'forward') throw new Error('not a forward');
  return compiled;
}

const chosen = (forward: CompiledForward, random: number, request = makeRequest()): string | null =>
  choose(forward, random, request, '10.0.0.7', hashText)?.destination.host ?? null;

test('each destination gets its share, exactly', () => {
  const anyWeights = fc.array(fc.nat({ max: 100 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      anyWeights,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (weights, random) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        let left = random * total;
        const wanted = weights.findIndex((weight) => (left -= weight) < 0);
        // Rounding may leave nobody at the very end: the last one that has a weight gets it.
        const last = weights.findLastIndex((weight) => weight > 0);
        const expected = total === 0 ? null : `d${wanted === -1 ? last : wanted}`;
        expect(chosen(compile(weights), random)).toBe(expected);
      },
    ),
  );
});

test('a destination without weight gets nothing, even as the only one', () => {
  expect(chosen(compile([0, 5, 0]), 0)).toBe('d1');
  expect(chosen(compile([0]), 0)).toBeNull();
  expect(chosen(compile([]), 0)).toBeNull();
});

test('with a key a caller stays, whatever the dice say; without its value they decide', () => {
  const forward = compile([50, 50], { kind: 'cookie', name: 'user' });
  const counts = new Map<string | null, number>();
  for (let i = 0; i < 1000; i++) {
    const request = makeRequest({ headers: [['cookie', `a=1; user=u${i}`]] });
    const host = chosen(forward, 0, request);
    expect(chosen(forward, 0.99, request)).toBe(host);
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  expect(Math.min(counts.get('d0') ?? 0, counts.get('d1') ?? 0)).toBeGreaterThan(400);
  expect([chosen(forward, 0), chosen(forward, 0.99)]).toEqual(['d0', 'd1']);
});

test('a larger share of a sticky split keeps those that it had', () => {
  const small = compile([10, 90], { kind: 'source-ip' });
  const large = compile([30, 70], { kind: 'source-ip' });
  const lost: number[] = [];
  for (let i = 0; i < 500; i++) {
    const pick = (forward: CompiledForward): string | undefined =>
      choose(forward, 0, makeRequest(), `10.0.0.${i}`, hashText)?.destination.host;
    if (pick(small) === 'd0' && pick(large) !== 'd0') lost.push(i);
  }
  expect(lost).toEqual([]);
});

test('a key is read from where it is said to be, and is null where there is none', () => {
  const request = makeRequest({
    path: '/?user=q',
    headers: [
      ['x-user', 'b'],
      ['x-user', 'a'],
      ['cookie', 'x=1;user = "c"; user=d'],
      ['x-empty', ''],
    ],
  });
  const read = (key: StickyKey): number | null =>
    hashOf(key, request, '::1', (text) => {
      texts.push(text);
      return 1;
    });
  const texts: string[] = [];
  expect(read({ kind: 'header', name: 'x-user' })).toBe(1);
  read({ kind: 'cookie', name: 'user' });
  read({ kind: 'query', name: 'user' });
  read({ kind: 'source-ip' });
  expect(texts).toEqual(['a,b', 'c', 'q', '::1']);
  expect(read({ kind: 'header', name: 'x-none' })).toBeNull();
  expect(read({ kind: 'header', name: 'x-empty' })).toBeNull();
  expect(read({ kind: 'cookie', name: 'none' })).toBeNull();
});

test('a cookie that makes callers stay is written as Envoy writes it', () => {
  expect(stickyCookie({ kind: 'cookie', name: 'c', ttlS: 0 }, 'v')).toBe('c="v"; HttpOnly');
  const attributes = { SameSite: 'Strict', Secure: '' };
  expect(stickyCookie({ kind: 'cookie', name: 'c', path: '/p', ttlS: 60, attributes }, 'v')).toBe(
    'c="v"; Max-Age=60; Path=/p; SameSite=Strict; Secure; HttpOnly',
  );
});
