// Shares and quantiles from counts in buckets.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { quantileMs, successCell, successShare } from '#cli/traffic/numbers.ts';
import { bucketBounds } from '#sidecar/telemetry/series.ts';

test('a quantile lies in its bucket, in proportion', () => {
  expect(quantileMs([10], 0.5)).toBe(0.25);
  expect(quantileMs([0, 0, 4], 0.5)).toBe(3);
  expect(quantileMs([5, 5], 0.99)).toBeCloseTo(0.99);
  expect(quantileMs([], 0.5)).toBeNull();
  expect(quantileMs([0, 0], 0.5)).toBeNull();
});

test('what lies above the last bound counts as that', () => {
  const counts = [...bucketBounds.map(() => 0), 3];
  expect(quantileMs(counts, 0.5)).toBe(3_600_000);
});

test('a higher share is never a shorter time', () => {
  const counts = fc.array(fc.nat(1000), { minLength: 1, maxLength: bucketBounds.length + 1 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(counts, share, share, (all, one, other) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)];
      expect(quantileMs(all, low) ?? 0).toBeLessThanOrEqual((quantileMs(all, high) ?? 0) + 1e-6);
    }),
  );
});

test('what is not all is never shown as all', () => {
  const counts = { requests: 1_000_000, failures: 1, refusals: 0 };
  expect(successCell(counts)).toEqual({ text: '99.99%', colour: 'yellow' });
  expect(successCell({ ...counts, failures: 0 })).toEqual({ text: '100.00%', colour: 'green' });
  expect(successCell({ requests: 0, failures: 0, refusals: 0 }).text).toBe('-');
  expect(successShare({ requests: 2, failures: 2, refusals: 1 })).toBe(0);
});
