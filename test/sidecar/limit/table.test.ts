// The table of keys: bounded, exact below its bound, and what is forgotten beyond it.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { Concurrency } from '#sidecar/limit/concurrency.ts';
import { ExactWindow } from '#sidecar/limit/exact-window.ts';
import { KeyHash } from '#sidecar/limit/key-hash.ts';
import { Meter } from '#sidecar/limit/meter.ts';
import { KeyTable } from '#sidecar/limit/table.ts';

const hash = new KeyHash();
const meter = new Meter({ rate: 1, perMs: 1000, capacity: 3, delay: false });

function wordsOf(table: KeyTable, ...parts: string[]): readonly [number, number] {
  hash.begin(table.secret0, table.secret1);
  for (const part of parts) hash.text(part);
  hash.end();
  return [hash.words[0] ?? 0, hash.words[1] ?? 0];
}

function take(
  table: KeyTable,
  algorithm: { take: Meter['take'] },
  key: string,
  now: number,
): boolean {
  const at = table.find(...wordsOf(table, key), now);
  return at !== -1 && algorithm.take(table.cells, at, now);
}

test('the hash is HalfSipHash-2-4, as written down from its reference in big integers', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.string({ unit: 'binary' }), (k0, k1, text) => {
      hash.begin(k0, k1);
      hash.text(text);
      hash.end();
      const words: number[] = [];
      for (let i = 0; i + 1 < text.length; i += 2) {
        words.push(text.charCodeAt(i) + text.charCodeAt(i + 1) * 65_536);
      }
      if (text.length % 2 === 1) words.push(text.charCodeAt(text.length - 1));
      words.push(text.length + 2 ** 31);
      expect([...hash.words]).toEqual(halfSipHash(k0, k1, words));
    }),
  );
});

test('keys of other parts, or parts divided otherwise, are other keys', () => {
  const table = new KeyTable(8, meter);
  expect(wordsOf(table, 'ab', 'c')).not.toEqual(wordsOf(table, 'a', 'bc'));
  expect(wordsOf(table, 'a')).not.toEqual(wordsOf(table, 'a', ''));
  expect(wordsOf(table, 'é')).not.toEqual(wordsOf(table, 'e'));
  expect(wordsOf(table, 'a')).toEqual(wordsOf(table, 'a'));
  expect(wordsOf(new KeyTable(8, meter), 'a')).not.toEqual(wordsOf(table, 'a'));
});

test('below half of the bound keys are counted apart, as many tables would', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 500, size: 'max' }), (calls) => {
      const table = new KeyTable(4096, meter);
      const alone = new Map<number, Float64Array>();
      for (const [i, key] of calls.entries()) {
        const cells = alone.get(key) ?? new Float64Array(2);
        alone.set(key, cells);
        const now = 1e12 + i * 50;
        expect(take(table, meter, `key ${key}`, now)).toBe(meter.take(cells, 0, now));
      }
      expect(table.evicted).toBe(0);
    }),
    { numRuns: 20 },
  );
});

test('any number of keys fits, and a key that is in use keeps its count', () => {
  const table = new KeyTable(1000, meter);
  const bytes = table.buffer.byteLength;
  const now = 1e12;
  const admitted = { busy: 0 };
  for (let i = 0; i < 200_000; i++) {
    // One key is asked for all the time among a flood of others, in one instant.
    if (i % 50 === 0 && take(table, meter, 'busy', now + i * 1e-3)) admitted.busy += 1;
    take(table, meter, `flood ${i}`, now + i * 1e-3);
  }
  expect(table.buffer.byteLength).toBe(bytes);
  expect(bytes).toBeLessThan(1024 * 33);
  expect(table.evicted).toBeGreaterThan(190_000);
  expect(admitted.busy).toBe(3);
});

test('what makes no difference is forgotten first', () => {
  const window = new ExactWindow(2, 1000);
  const table = new KeyTable(8, window);
  const now = 1e12;
  for (let i = 0; i < 7; i++) {
    expect(take(table, window, `old ${i}`, now)).toBe(true);
    expect(take(table, window, `old ${i}`, now)).toBe(true);
  }
  expect(take(table, window, 'idle', now - 5000)).toBe(true);
  expect(take(table, window, 'new', now)).toBe(true);
  expect(table.evicted).toBe(0);
  for (let i = 0; i < 7; i++) expect(take(table, window, `old ${i}`, now)).toBe(false);
  expect(take(table, window, 'newer', now + 1)).toBe(true);
  expect(table.evicted).toBe(1);
});

test('requests under way are never forgotten: a key for which there is no place is refused', () => {
  const concurrency = new Concurrency(1);
  const table = new KeyTable(8, concurrency);
  for (let i = 0; i < 8; i++) expect(take(table, concurrency, `key ${i}`, 1)).toBe(true);
  expect(take(table, concurrency, 'one more', 2)).toBe(false);
  const at = table.known(...wordsOf(table, 'key 3'));
  concurrency.refund(table.cells, at);
  expect(take(table, concurrency, 'one more', 3)).toBe(true);
  expect(table.known(...wordsOf(table, 'key 3'))).toBe(-1);
});

test('two tables on the same memory are one', () => {
  const one = new KeyTable(100, meter);
  const other = new KeyTable(100, meter, one.buffer);
  const now = 1e12;
  expect([one, other, one, other].map((table) => take(table, meter, 'key', now))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

/** As the reference has it, in numbers that cannot overflow. */
function halfSipHash(k0: number, k1: number, words: readonly number[]): number[] {
  const mod = 2n ** 32n;
  const wrap = (value: bigint): bigint => ((value % mod) + mod) % mod;
  const rotate = (value: bigint, by: bigint): bigint => wrap((value << by) | (value >> (32n - by)));
  let v0 = wrap(BigInt(k0));
  let v1 = wrap(BigInt(k1)) ^ 0xeen;
  let v2 = wrap(BigInt(k0)) ^ 0x6c796765n;
  let v3 = wrap(BigInt(k1)) ^ 0x74656462n;
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = wrap(v0 + v1);
      v1 = rotate(v1, 5n) ^ v0;
      v0 = rotate(v0, 16n);
      v2 = wrap(v2 + v3);
      v3 = rotate(v3, 8n) ^ v2;
      v0 = wrap(v0 + v3);
      v3 = rotate(v3, 7n) ^ v0;
      v2 = wrap(v2 + v1);
      v1 = rotate(v1, 13n) ^ v2;
      v2 = rotate(v2, 16n);
    }
  };
  for (const word of words) {
    v3 ^= BigInt(word);
    rounds(2);
    v0 ^= BigInt(word);
  }
  v2 ^= 0xeen;
  rounds(4);
  const first = v1 ^ v3;
  v1 ^= 0xddn;
  rounds(4);
  return [Number(first), Number(v1 ^ v3)];
}
