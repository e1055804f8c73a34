// Time limits of an exchange and of its tries, on a clock that the test turns.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Patience } from '#sidecar/wire/patience.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watched(): { patience: Patience; told: string[] } {
  const told: string[] = [];
  const patience = new Patience(
    () => void told.push('total'),
    () => void told.push('try'),
  );
  return { patience, told };
}

test('the wait before a try is no part of its time', () => {
  const { patience, told } = watched();
  patience.begin(0, 100, () => true);
  patience.tries(250);
  vi.advanceTimersByTime(340);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(20);
  expect(told).toEqual(['try']);
  expect(vi.getTimerCount()).toBe(0);
});

test('no endpoint is late while the client still sends', () => {
  const { patience, told } = watched();
  let done = false;
  patience.begin(150, 100, () => done);
  patience.tries(0);
  vi.advanceTimersByTime(290);
  expect(told).toEqual([]);
  done = true;
  vi.advanceTimersByTime(20);
  expect(told.toSorted()).toEqual(['total', 'try']);
  expect(patience.spent).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test('a try that is answered, and an exchange that ended, are not cut short', () => {
  const { patience, told } = watched();
  patience.begin(500, 100, () => true);
  patience.tries(0);
  vi.advanceTimersByTime(60);
  patience.tries(0);
  vi.advanceTimersByTime(60);
  patience.answered();
  vi.advanceTimersByTime(200);
  patience.end();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([]);
});
