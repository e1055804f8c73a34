import { expect, test } from 'vitest';

import { faultOf, isDrawn } from '#sidecar/routing/fault.ts';

const delay = { percent: 50, delayMs: 7 };
const abort = { percent: 10, status: 503 };

/** Gives what it is told, one after the other. */
const dice =
  (...values: number[]): (() => number) =>
  () =>
    values.shift() ?? 0;

test('delay and abort are drawn apart', () => {
  expect(faultOf({ delay, abort }, dice(0.4, 0.09))).toEqual({ delayMs: 7, abort });
  expect(faultOf({ delay, abort }, dice(0.4, 0.1))).toEqual({ delayMs: 7, abort: null });
  expect(faultOf({ delay, abort }, dice(0.5, 0.09))).toEqual({ delayMs: 0, abort });
  expect(faultOf({ delay, abort }, dice(0.5, 0.1))).toBeNull();
  expect(faultOf({ abort }, dice(0.09))).toEqual({ delayMs: 0, abort });
});

test('none of it is nobody, all of it is everybody', () => {
  expect(isDrawn(0, () => 0)).toBe(false);
  expect(isDrawn(100, () => 0.999_999)).toBe(true);
  expect(isDrawn(0.01, () => 0.000_09)).toBe(true);
  expect(isDrawn(0.01, () => 0.000_11)).toBe(false);
});
