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
    place: null as string | null,
    /** While it is set, fetches hang. */
    hang: null as Promise<void> | null,
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
      const { answer, hang } = world;
      if (hang !== null) await hang;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    placeOf: () => world.place,
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
  await sets.ready(1000);
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

test('without any keys yet, tries begin after 200 ms and stay a minute apart at most', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('starting');
  sets.want([source]);
  await world.advance(2 * minuteMs);
  expect(world.fetched.map((f) => f.atMs / 1000)).toEqual([
    0, 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4, 51, 102.2,
  ]);
  expect(sets.state(source)).toEqual({ keys: null, error: 'starting' });
  await world.advance(10 * minuteMs);
  expect(world.fetched).toHaveLength(20);
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

test('a publication waits for keys that come within its patience, however often it takes', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('starting');
  sets.want([source]);
  let waited = false;
  void sets.ready(1000).then(() => (waited = true));
  await world.advance(500);
  expect(waited).toBe(false);
  world.answer = 'keys 1';
  await world.advance(100);
  expect([waited, sets.state(source).keys]).toEqual([true, 'keys 1']);
});

test('an issuer that stays away holds up one publication for a second, and none after it', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('away');
  sets.want([source]);
  const waited: string[] = [];
  void sets.ready(1000).then(() => waited.push('first'));
  await world.advance(600);
  void sets.ready(1000).then(() => waited.push('second'));
  await world.advance(399);
  expect(waited).toEqual([]);
  await world.advance(1);
  expect(waited).toEqual(['first', 'second']);
  void sets.ready(1000).then(() => waited.push('third'));
  await world.advance(0);
  expect(waited).toEqual(['first', 'second', 'third']);
});

test('keys that are no longer wanted are not waited for', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('away');
  sets.want([source]);
  const ready = sets.ready(1000);
  await world.advance(10);
  sets.want([]);
  await ready;
  expect(world.timers()).toBe(0);
});

test('an issuer that appears in the mesh, or moves there, is asked at once; one that goes is not', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('no pod');
  sets.want([source]);
  await world.advance(30_000);
  const before = world.fetched.length;
  world.place = '10.0.0.1:80';
  world.answer = 'keys 1';
  sets.want([source]);
  sets.want([source]);
  await world.advance(0);
  expect(world.fetched.length - before).toBe(1);
  expect(sets.state(source)).toEqual({ keys: 'keys 1', error: null });
  world.place = '10.0.0.2:80';
  world.answer = 'keys 2';
  sets.want([source]);
  await world.advance(0);
  expect(sets.state(source).keys).toBe('keys 2');
  world.place = null;
  sets.want([source]);
  await world.advance(0);
  expect(world.fetched.length - before).toBe(2);
  // The refresh of before has gone; the last fetch's is there.
  expect(world.timers()).toBe(1);
});

test('an issuer whose pod appears before it listens is tried again as often as a new one', async () => {
  const { sets, world } = setUp();
  world.answer = new Error('no pod');
  sets.want([source]);
  await world.advance(60_000);
  world.place = '10.0.0.1:80';
  sets.want([source]);
  const before = world.fetched.length;
  await world.advance(700);
  expect(world.fetched.slice(before).map((f) => f.atMs - 60_000)).toEqual([200, 600]);
});

test('a question to a place that is gone holds up nothing, and only its success counts still', async () => {
  const { sets, world } = setUp();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.hang = promise;
  world.answer = new Error('timeout');
  sets.want([source]);
  await world.advance(0);
  world.hang = null;
  world.answer = 'keys 1';
  world.place = '10.0.0.1:80';
  sets.want([source]);
  await world.advance(0);
  expect(sets.state(source).keys).toBe('keys 1');
  resolve();
  await world.advance(0);
  expect(sets.state(source)).toEqual({ keys: 'keys 1', error: null });
  expect(world.timers()).toBe(1);
});

test('keys from a place that is gone serve while the new one is slow', async () => {
  const { sets, world } = setUp();
  const old = Promise.withResolvers<void>();
  world.hang = old.promise;
  sets.want([source]);
  await world.advance(0);
  const next = Promise.withResolvers<void>();
  world.hang = next.promise;
  world.answer = 'keys 2';
  world.place = '10.0.0.1:80';
  sets.want([source]);
  old.resolve();
  await world.advance(0);
  expect(sets.state(source).keys).toBe('keys 1');
  next.resolve();
  await world.advance(0);
  expect(sets.state(source).keys).toBe('keys 2');
  expect(world.timers()).toBe(1);
});
