// The bounds of the cache of verified tokens.
import { expect, test } from 'vitest';

import { TokenCache } from '#policy/jwt/cache.ts';

test('it holds 1,024 tokens at most, and those in use stay', () => {
  const cache = new TokenCache<number>();
  cache.set('kept', -1);
  for (let i = 0; i < 5000; i++) {
    cache.set(`token ${i}`, i);
    expect(cache.get('kept')).toBe(-1);
  }
  expect(cache.size).toBe(1024);
  expect(cache.get('token 0')).toBeUndefined();
  expect(cache.get('token 4999')).toBe(4999);
});

test('large tokens are fewer: 2 Mi characters at most', () => {
  const cache = new TokenCache<number>();
  for (let i = 0; i < 100; i++) cache.set(`${i}:${'x'.repeat(60_000)}`, i);
  expect(cache.size).toBe(34);
  cache.set('x'.repeat(3_000_000), 1);
  expect(cache.size).toBe(34);
});

test('setting a token twice keeps one, and deleting gives its room back', () => {
  const cache = new TokenCache<number>();
  cache.set('a', 1);
  cache.set('a', 2);
  expect([cache.size, cache.get('a')]).toEqual([1, 2]);
  cache.delete('a');
  expect([cache.size, cache.get('a')]).toEqual([0, undefined]);
});
