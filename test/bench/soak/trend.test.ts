import { expect, test } from 'vitest';

import { fitSecondHalf } from './trend.ts';

/** Half an hour, a moment every 2 s; the first half is a heap that warms up. */
function curve(mbPerHour: number, noise: (i: number) => number): { seconds: number; mb: number }[] {
  return Array.from({ length: 900 }, (_, i) => ({
    seconds: 2 * i,
    mb: 60 + Math.min(i, 450) / 10 + (mbPerHour * 2 * i) / 3600 + noise(i),
  }));
}

test('a leak shows through the saw of collections', () => {
  const { mbPerHour, errorMbPerHour } = fitSecondHalf(curve(40, (i) => (i % 37) / 5));
  expect(Math.abs(mbPerHour - 40)).toBeLessThan(4);
  expect(mbPerHour).toBeGreaterThan(2 * errorMbPerHour);
});

test('warming up in the first half is not growth', () => {
  const { mbPerHour } = fitSecondHalf(curve(0, (i) => (i % 37) / 5));
  expect(Math.abs(mbPerHour)).toBeLessThan(4);
});
