import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { warmth } from '#sidecar/upstream/warmup.ts';

const linear = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };

test('a new endpoint begins with its minimum and grows evenly', () => {
  expect(warmth(linear, 0)).toBe(0.1);
  expect(warmth(linear, 30_000)).toBe(0.5);
  expect(warmth(linear, 60_000)).toBe(1);
});

test('more aggression is faster in the beginning', () => {
  expect(warmth({ ...linear, aggression: 2 }, 15_000)).toBe(0.5);
  expect(warmth({ ...linear, aggression: 0.5 }, 30_000)).toBe(0.25);
});

test('the share never shrinks with age and stays within over 0 and 1', () => {
  const policy = fc.record({
    durationMs: fc.integer({ min: 1, max: 3_600_000 }),
    minimumPercent: fc.nat(100),
    aggression: fc.double({ min: 0.1, max: 10, noNaN: true }),
  });
  fc.assert(
    fc.property(policy, fc.nat(4_000_000), fc.nat(4_000_000), (one, a, b) => {
      const [early, late] = [warmth(one, Math.min(a, b)), warmth(one, Math.max(a, b))];
      expect(early).toBeGreaterThan(0);
      expect(late).toBeLessThanOrEqual(1);
      expect(early).toBeLessThanOrEqual(late);
    }),
  );
});
