import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readDirectives, secondsOf } from '#sidecar/cache/cache-control.ts';
import {
  ageMs,
  graceOf,
  isUnchanged,
  lifeOf,
  storeFault,
  useOf,
} from '#sidecar/cache/freshness.ts';

const nowMs = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT');

function head(lines: Record<string, string | string[]>) {
  return { values: (name: string): string[] => [lines[name] ?? []].flat() };
}

function asked(text: string) {
  return readDirectives(text === '' ? [] : [text]);
}

test.each([
  ['max-age=60', [['max-age', '60']]],
  [
    'Max-Age=60, PUBLIC ,no-cache="set-cookie, x"',
    [
      ['max-age', '60'],
      ['public', ''],
      ['no-cache', 'set-cookie, x'],
    ],
  ],
  ['max-age=60, max-age=5', [['max-age', '5']]],
  ['max-age="7"', [['max-age', '7']]],
  ['a b, no-store', [['no-store', '']]],
  [',, ;x, private', [['private', '']]],
  ['x="unclosed, no-store', [['no-store', '']]],
])('directives of %s', (text, expected) => {
  expect([...readDirectives([text])]).toEqual(expected);
});

test('what is no number of seconds is none, and a huge one is cut', () => {
  expect(secondsOf(asked('max-age=soon'), 'max-age')).toBe(0);
  expect(secondsOf(asked('max-age=99999999999999'), 'max-age')).toBe(2 ** 31);
  expect(secondsOf(asked('public'), 'max-age')).toBeNull();
});

test('any text is read, in time, and no-store among directives is always found', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (values) => {
      expect(readDirectives(values).size).toBeGreaterThanOrEqual(0);
    }),
  );
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}(=("[^"\\]*"|[a-z0-9]+))?$/);
  fc.assert(
    fc.property(fc.array(word), fc.array(word), (before, after) => {
      expect(readDirectives([[...before, 'No-Store', ...after].join(', ')]).has('no-store')).toBe(
        true,
      );
    }),
  );
  const startMs = performance.now();
  readDirectives(['a="'.repeat(20_000), ' ,'.repeat(50_000), 'a'.repeat(100_000)]);
  expect(performance.now() - startMs).toBeLessThan(2000);
});

test.each<[string | null, number, string, Record<string, string>, boolean]>([
  [null, 200, '', { 'cache-control': 'max-age=1' }, false],
  ['status', 500, '', { 'cache-control': 'max-age=1' }, false],
  ['status', 206, '', { 'cache-control': 'max-age=1' }, false],
  ['no-store', 200, 'no-store', { 'cache-control': 'max-age=1' }, false],
  ['no-store', 200, '', { 'cache-control': 'max-age=1, no-store' }, false],
  ['private', 200, '', { 'cache-control': 'private="x", max-age=1' }, false],
  ['vary', 200, '', { vary: 'a, *' }, false],
  ['set-cookie', 200, '', { 'set-cookie': 'a=b' }, false],
  ['credentials', 200, '', { 'cache-control': 'max-age=1' }, true],
  [null, 200, '', { 'cache-control': 'public, max-age=1' }, true],
  [null, 200, '', { 'cache-control': 's-maxage=1' }, true],
  [null, 200, '', { 'cache-control': 'must-revalidate' }, true],
])('%s: %d, asked %j, said %j, credentials %j', (fault, status, text, lines, credentials) => {
  expect(storeFault(status, asked(text), head(lines), credentials)).toBe(fault);
});

const date = 'Sun, 06 Nov 1994 08:49:37 GMT';

test.each<[number, Record<string, string>, number]>([
  [60, { 'cache-control': 'max-age=60' }, 0],
  [5, { 'cache-control': 'max-age=60, s-maxage=5' }, 0],
  [63, { date, expires: 'Sun, 06 Nov 1994 08:50:40 GMT' }, 0],
  [60, { date, expires: '0', 'cache-control': 'max-age=60' }, 0],
  [0, { date, expires: '0' }, 30],
  [30, {}, 30],
  [0, { 'cache-control': 'max-age=x' }, 30],
])('an answer lives %d s: %j, by default %d s', (seconds, lines, defaultSeconds) => {
  expect(lifeOf(head(lines), nowMs, 0, defaultSeconds * 1000).lifetimeMs).toBe(seconds * 1000);
});

test('age counts what other caches have kept it, the way, and the time here', () => {
  const old = lifeOf(head({ age: '10', date }), nowMs + 2000, 500, 0);
  expect(ageMs(old, nowMs + 7000)).toBe(15_500);
  expect(ageMs(lifeOf(head({ date }), nowMs + 20_000, 500, 0), nowMs + 20_000)).toBe(20_000);
});

test.each<[string, string, string, number]>([
  ['fresh', 'max-age=60', '', 59],
  ['stale', 'max-age=60', '', 60],
  ['stale', 'max-age=60, no-cache', '', 1],
  ['request', 'max-age=60', 'no-cache', 1],
  ['request', 'max-age=60', 'max-age=5', 6],
  ['fresh', 'max-age=60', 'max-age=5', 4],
  ['request', 'max-age=60', 'min-fresh=30', 40],
  ['fresh', 'max-age=60', 'max-stale', 1000],
  ['fresh', 'max-age=60', 'max-stale=10', 70],
  ['stale', 'max-age=60', 'max-stale=10', 71],
  ['stale', 'max-age=60, must-revalidate', 'max-stale', 61],
  ['stale', 's-maxage=60', 'max-stale', 61],
  ['stale', 'max-age=60, proxy-revalidate', 'max-stale', 61],
])('%s: said %j, asked %j, after %d s', (use, said, text, afterSeconds) => {
  const life = lifeOf(head({ 'cache-control': said }), nowMs, 0, 0);
  expect(useOf(life, asked(text), nowMs + afterSeconds * 1000)).toBe(use);
});

test('nothing that nobody allowed is given stale', () => {
  const text = fc.constantFrom(
    '',
    'max-age=5',
    'min-fresh=3',
    'no-cache',
    'max-age=100, min-fresh=0',
  );
  fc.assert(
    fc.property(fc.nat(100), fc.nat(200), text, (life, after, says) => {
      const kept = lifeOf(head({ 'cache-control': `max-age=${life}` }), nowMs, 0, 0);
      const use = useOf(kept, asked(says), nowMs + after * 1000);
      expect(use !== 'fresh' || after < life).toBe(true);
    }),
  );
});

test.each<[boolean, string[], string[], Record<string, string>]>([
  [true, ['"a"'], [], { etag: '"a"' }],
  [true, ['W/"a"'], [], { etag: '"a"' }],
  [true, ['"x", "a,b"'], [], { etag: 'W/"a,b"' }],
  [false, ['"b"'], [date], { etag: '"a"', 'last-modified': date }],
  [true, ['*'], [], {}],
  [false, ['"a"'], [], {}],
  [true, [], [date], { 'last-modified': date }],
  [false, [], ['Sun, 06 Nov 1994 08:49:36 GMT'], { 'last-modified': date }],
  [false, [], ['1'], { 'last-modified': '1' }],
  [false, [], [], { etag: '"a"' }],
])('unchanged is %s: %j %j %j', (unchanged, tags, since, lines) => {
  expect(isUnchanged(tags, since, head(lines))).toBe(unchanged);
});

test.each([
  // What the application said, the client, the age in seconds; whether it is given while asked for, and on errors.
  ['max-age=60, stale-while-revalidate=10', '', 69, true, true],
  ['max-age=60, stale-while-revalidate=10', '', 70, false, false],
  ['max-age=60, stale-if-error=10', '', 69, false, true],
  ['max-age=60, stale-if-error=10', '', 70, false, false],
  ['max-age=60', '', 61, false, false],
  ['max-age=60, stale-if-error=soon', '', 61, false, false],
  ['max-age=60, stale-if-error=10, must-revalidate', '', 61, false, false],
  ['max-age=60, stale-while-revalidate=10, no-cache', '', 61, false, false],
  ['s-maxage=60, stale-while-revalidate=10', '', 61, false, false],
  ['max-age=60, stale-if-error=10', 'no-cache', 61, false, false],
  ['max-age=60, stale-while-revalidate=10', 'max-age=0', 61, false, false],
  ['max-age=0, stale-if-error=999999999', '', 86_399, false, true],
  ['max-age=0, stale-if-error=999999999', '', 86_400, false, false],
])('the grace of %s for %j after %d s', (said, wanted, ageS, whileAsked, ifError) => {
  const life = lifeOf(head({ 'cache-control': said }), nowMs, 0, 0);
  expect(graceOf(life, asked(wanted), nowMs + ageS * 1000)).toEqual({ whileAsked, ifError });
});
