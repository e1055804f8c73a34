import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Debounce } from '#control/sources/debounce.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1000 });
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp(): { debounce: Debounce; calls: { atMs: number; firstAtMs: number }[] } {
  const calls: { atMs: number; firstAtMs: number }[] = [];
  const debounce = new Debounce({
    quietMs: 10,
    waitMaxMs: 100,
    call: (firstAtMs) => calls.push({ atMs: Date.now(), firstAtMs }),
  });
  return { debounce, calls };
}

test('events close together become one call, which is told when the first one was', () => {
  const { debounce, calls } = setUp();
  debounce.poke();
  vi.advanceTimersByTime(5);
  debounce.poke();
  vi.advanceTimersByTime(500);
  expect(calls).toEqual([{ atMs: 1015, firstAtMs: 1000 }]);
});

test('where it never gets quiet the call comes all the same', () => {
  const { debounce, calls } = setUp();
  for (let i = 0; i < 25; i++) {
    debounce.poke();
    vi.advanceTimersByTime(5);
  }
  expect(calls[0]).toEqual({ atMs: 1100, firstAtMs: 1000 });
});

test('an event after a loop that was busy for longer than the wait is called for at once', () => {
  const timeouts = vi.spyOn(globalThis, 'setTimeout');
  const { debounce, calls } = setUp();
  debounce.poke();
  // The timer is due and has not had its turn.
  vi.setSystemTime(1500);
  debounce.poke();
  vi.advanceTimersByTime(1);
  expect(calls).toHaveLength(1);
  expect(timeouts.mock.calls.map(([, ms]) => ms).filter((ms = 0) => ms < 0)).toEqual([]);
});
