import { expect, test } from 'vitest';

import {
  countText,
  millisecondsText,
  quantile,
  rateText,
  shareText,
} from '#cli/dashboard/numbers.ts';
import { bucketBounds } from '#sidecar/telemetry/series.ts';

test('numbers are short', () => {
  expect([0, 0.01, 1.23, 9.96, 42.4, 1234, 2_100_000].map(rateText)).toEqual([
    '0',
    '<0.1',
    '1.2',
    '10',
    '42',
    '1.2k',
    '2.1M',
  ]);
  expect([999, 999_499, 999_500].map(countText)).toEqual(['999', '999k', '1.0M']);
  expect([0.44, 45.2, 1200, 15_000].map(millisecondsText)).toEqual([
    '0.4 ms',
    '45 ms',
    '1.2 s',
    '15 s',
  ]);
});

test('a share is whole only where nothing is missing', () => {
  expect(shareText(99_999, 100_000)).toBe('99.9%');
  expect(shareText(7, 7)).toBe('100%');
  expect(shareText(0, 0)).toBe('–');
});

test('a quantile lies within its bucket', () => {
  const counts = bucketBounds.map((bound) => (bound === 50 || bound === 100 ? 50 : 0));
  expect(quantile(counts, 0.5)).toBe(50);
  expect(quantile(counts, 0.99)).toBeCloseTo(99);
  expect(quantile([], 0.5)).toBeNull();
  expect(quantile([...bucketBounds.map(() => 0), 3], 0.99)).toBe(bucketBounds.at(-1));
});
