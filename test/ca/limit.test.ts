// The token bucket: its burst, its refill, its bounds.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Limit } from '#ca/limit.ts';
import { VirtualClock } from '../runtime/virtual-clock.ts';

const plenty = { perSecond: 1e6, burst: 1e6 };

test('after the burst one must wait for the next token, and is told how long', async () => {
  const clock = new VirtualClock(0);
  const limit = new Limit({ perIdentity: { perSecond: 2, burst: 3 }, overall: plenty, clock });
  expect([1, 2, 3].map(() => limit.take('a'))).toEqual([0, 0, 0]);
  expect(limit.take('a')).toBe(500);
  expect(limit.take('b')).toBe(0);
  await clock.pass(490);
  expect(limit.take('a')).toBeGreaterThan(0);
  await clock.pass(11);
  expect(limit.take('a')).toBe(0);
});

test('all identities together have a limit too, and a refusal takes nothing from the own one', () => {
  const clock = new VirtualClock(0);
  const limit = new Limit({ perIdentity: plenty, overall: { perSecond: 1, burst: 2 }, clock });
  expect([limit.take('a'), limit.take('b'), limit.take('c')]).toEqual([0, 0, 1000]);
});

test('memory is bounded: the identity unused for longest is forgotten', () => {
  const clock = new VirtualClock(0);
  const rate = { perSecond: 0.001, burst: 1 };
  const limit = new Limit({ perIdentity: rate, overall: plenty, clock, identitiesMax: 2 });
  expect([limit.take('a'), limit.take('b')]).toEqual([0, 0]);
  expect(limit.take('a')).toBeGreaterThan(0);
  expect(limit.take('c')).toBe(0);
  expect(limit.take('a')).toBeGreaterThan(0);
  expect(limit.take('b')).toBe(0);
});

test('a clock that goes backwards gives no tokens and takes none', () => {
  const clock = new VirtualClock(1_000_000);
  const limit = new Limit({ perIdentity: { perSecond: 1, burst: 1 }, overall: plenty, clock });
  expect(limit.take('a')).toBe(0);
  clock.jump(-500_000);
  expect(limit.take('a')).toBe(1000);
});

test('over any time no identity gets more than its burst and its rate', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2000), { maxLength: 60 }), async (pauses) => {
      const clock = new VirtualClock(0);
      const limit = new Limit({ perIdentity: { perSecond: 3, burst: 5 }, overall: plenty, clock });
      let granted = 0;
      for (const pause of pauses) {
        clock.jump(pause);
        if (limit.take('a') === 0) granted += 1;
      }
      expect(granted).toBeLessThanOrEqual(5 + (clock.now() / 1000) * 3);
    }),
    { numRuns: 100, seed: 10 },
  );
});
