import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { FloodGuard } from '#sidecar/wire/http2/flood.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';

const limits = {
  ...http2Limits,
  resetsBurst: 5,
  resetsPerSecond: 10,
  controlsBurst: 8,
  controlsPerSecond: 4,
  windowUpdatesBurst: 6,
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** How many are let pass, now. */
function passes(take: () => boolean): number {
  let count = 0;
  while (count < 1000 && take()) count++;
  return count;
}

test('each kind has its own burst', () => {
  const guard = new FloodGuard(limits);
  expect(passes(() => guard.reset())).toBe(5);
  expect(passes(() => guard.control())).toBe(8);
  expect(passes(() => guard.windowUpdate())).toBe(6);
  expect(guard.reset()).toBe(false);
});

test('time refills them, at their rates and to their bursts', () => {
  const guard = new FloodGuard(limits);
  const drain = (): number[] => [
    passes(() => guard.reset()),
    passes(() => guard.control()),
    passes(() => guard.windowUpdate()),
  ];
  drain();
  vi.advanceTimersByTime(300);
  expect(drain()).toEqual([3, 1, 1]);
  vi.advanceTimersByTime(50);
  expect(drain()).toEqual([0, 0, 0]);
  vi.advanceTimersByTime(50);
  expect(drain()).toEqual([1, 0, 0]);
  vi.advanceTimersByTime(3_600_000);
  expect(drain()).toEqual([5, 8, 6]);
});

test('a peer that keeps to the rate is never stopped', () => {
  const guard = new FloodGuard(limits);
  for (let i = 0; i < 500; i++) {
    expect(guard.reset()).toBe(true);
    vi.advanceTimersByTime(100);
  }
});

test('after a long silence no more than two bursts pass at once', () => {
  const guard = new FloodGuard(limits);
  vi.advanceTimersByTime(3_600_000);
  expect(passes(() => guard.reset())).toBeLessThanOrEqual(10);
  expect(guard.reset()).toBe(false);
});

test('honest work gives more: DATA we sent, streams that were opened, to the burst', () => {
  const guard = new FloodGuard(limits);
  passes(() => guard.windowUpdate());
  passes(() => guard.control());
  guard.opened();
  expect(passes(() => guard.control())).toBe(4);
  expect(passes(() => guard.windowUpdate())).toBe(4);
  guard.sent();
  expect(passes(() => guard.windowUpdate())).toBe(6);
  for (let i = 0; i < 100; i++) guard.opened();
  expect(passes(() => guard.control())).toBe(8);
  expect(passes(() => guard.reset())).toBe(5);
  guard.opened();
  expect(guard.reset()).toBe(false);
});
