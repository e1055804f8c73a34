import { expect, test } from 'vitest';

import type { KeySource } from '#control/jwks/fetch.ts';
import { KeySets } from '#control/jwks/key-sets.ts';
import type { Clock } from '#runtime/clock.ts';
import { silentLog } from '#runtime/log.ts';

const source = { uri: 'https://idp/keys', issuer: 'i', timeoutMs: 5000 };
const minuteMs = 60_000;

/** A clock that moves when told, and a fetch whose answers are set. */
function setUp() {
  let now = 0;
  let timers: { atMs: number; call: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    after: (delayMs, call) => {
      const timer = { atMs: now + delayMs, call };
      timers.push(timer);
      return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
    },
  };
  const world = {
    answer: 'keys 1' as string | Error,
    fetched: [] as { atMs: number; timeoutMs: number }[],
    changes: 0,
    /** Runs timers up to `ms` from now, in order. */
    advance: async (ms: number): Promise<void> => {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined || next.atMs > end) break;
        timers = timers.filter((other) => other !== next);
        now = next.atMs;
        next.call();
      }
      now = end;
      await settle();
    },
    timers: () => timers.length,
  };
  const sets = new KeySets({
    fetchKeys: async (_: KeySource, timeoutMs) => {
      world.fetched.push({ atMs: now, timeoutMs });
      if (world.answer instanceof Error) throw world.answer;
      return world.answer;
    },
    onChange: () => (world.changes += 1),
    log: silentLog,
    clock,
    random: () => 0.5,
  });
  return { sets, world };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test('one address is fetched once however many rules name it, with the longest timeout', async () => {
  const { sets, world } = setUp();
  sets.want([source, { ...source, issuer: 'j', timeoutMs: 9000 }, source]);
  sets.want([source]);
  await sets.tried(1000);
  expect(world.fetched).toEqual([{ atMs: 0, timeoutMs: 9000 }]);
  expect(sets.state(source)).toEqual({ keys: 'keys 1', error: null });
  expect(world.changes).toBe(1);
});

test('keys are refreshed every 20 minutes, and only a change is told', async () => {
  const { sets, world } = setUp();
  sets.want([source]);
  await world.advance(45 * minuteMs);
  expect(world.fetched.map((f) => f.atMs / minuteMs)).toEqual([0, 20, 40]);
  expect(world.changes).toBe(1);
  world.answer = 'keys 2';
  await world.advance(20 * minuteMs);
  expect(sets.state(source).keys).toBe('keys 2');
  expect(world.changes).toBe(2);
});

test('after a failure the last good keys stay, and tries follow after 1, 2, 4 … 60 minutes', async () => {
  const { sets, world } = setUp();
  sets.want([source]);
  await world.advance(minuteMs);
  world.answer = new Error('away');
  await world.advance(400 * minuteMs);
  expect(sets.state(source)).toEqual({ keys: 'keys 1', error: 'away' });
  expect(world.fetched.map((f) => f.atMs / minuteMs)).toEqual([
    0, 20, 21, 23, 27, 35, 51, 83, 143, 203, 263, 323, 383,
  ]);
  world.answer = 'keys 2';
  await world.advance(60 * minuteMs);
  expect(sets.state(source)).toEqual({ keys: 'keys 2', error: null });
});

test('without any keys yet, tries begin after a second and stay a minute apart at most', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('starting');
  sets.want([source]);
  await world.advance(2 * minuteMs);
  expect(world.fetched.map((f) => f.atMs / 1000)).toEqual([0, 1, 3, 7, 15, 31, 63]);
  expect(sets.state(source)).toEqual({ keys: null, error: 'starting' });
  await world.advance(10 * minuteMs);
  expect(world.fetched).toHaveLength(17);
  expect(world.changes).toBe(1);
});

test('keys that no rule wants any more are forgotten, with their timers', async () => {
  const { sets, world } = setUp();
  sets.want([source]);
  await world.advance(minuteMs);
  sets.want([]);
  expect(world.timers()).toBe(0);
  expect(sets.state(source)).toEqual({ keys: null, error: null });
});
