// Backoff: doubling, its limit, jitter.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff } from '#runtime/backoff.ts';

test('waits double up to the limit, and start again after a success', () => {
  const backoff = new Backoff({ firstMs: 50, maxMs: 300, jitter: 0 });
  expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([50, 100, 200, 300, 300]);
  backoff.reset();
  expect(backoff.next()).toBe(50);
});

test('jitter spreads a wait up and down by its part', () => {
  expect([firstWait(0), firstWait(0.5), firstWait(1)]).toEqual([80, 100, 120]);
});

test('no wait is ever above the limit with its jitter, nor below zero', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (firstMs, jitter) => {
        const backoff = new Backoff({ firstMs, maxMs: 60_000, jitter });
        for (let i = 0; i < 40; i += 1) {
          const wait = backoff.next();
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(60_000 * (1 + jitter));
        }
      },
    ),
    { numRuns: 50, seed: 3 },
  );
});

function firstWait(random: number): number {
  return new Backoff({ firstMs: 100, maxMs: 100, jitter: 0.2, random: () => random }).next();
}
