import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Resolution, type Answer } from '#sidecar/upstream/resolve.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function rig(firstOnly = false) {
  const answers: (Answer | Error)[] = [];
  let asked = 0;
  let changes = 0;
  const warned: unknown[] = [];
  const resolution = new Resolution(
    firstOnly,
    () => void (changes += 1),
    (name) => void warned.push(name),
    async () => {
      asked += 1;
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer');
      return answer;
    },
  );
  return { answers, resolution, warned, asked: () => asked, changes: () => changes };
}

const answer = (ttlMs: number, ...addresses: string[]): Answer => ({ addresses, ttlMs });

test('a name is looked up when its cluster is called, and again when its time is over', async () => {
  const { answers, resolution, asked } = rig();
  answers.push(answer(20_000, '10.0.0.1'));
  resolution.take(['db.example.com', '10.9.9.9']);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(asked()).toBe(0);
  resolution.use();
  resolution.use();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toBe(1);
  expect(resolution.addressesOf('db.example.com')).toEqual(['10.0.0.1']);
  await vi.advanceTimersByTimeAsync(19_999);
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked()).toBe(2);
});

test.each([
  [0, 5000],
  [3_600_000, 60_000],
])('a time of %d ms counts as %d', async (ttlMs, counted) => {
  const { answers, resolution, asked } = rig();
  answers.push(answer(ttlMs, '10.0.0.1'));
  resolution.take(['db.example.com']);
  resolution.use();
  await vi.advanceTimersByTimeAsync(counted - 1);
  expect(asked()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked()).toBe(2);
});

test('the last good answer stays while the name server fails, and it is asked again', async () => {
  const { answers, resolution, warned, changes } = rig();
  answers.push(answer(5000, '10.0.0.1'), new Error('SERVFAIL'), answer(5000, '10.0.0.2'));
  resolution.take(['db.example.com']);
  resolution.use();
  await vi.advanceTimersByTimeAsync(5000);
  expect(warned).toEqual(['db.example.com']);
  expect(resolution.addressesOf('db.example.com')).toEqual(['10.0.0.1']);
  await vi.advanceTimersByTimeAsync(5000);
  expect(resolution.addressesOf('db.example.com')).toEqual(['10.0.0.2']);
  expect(changes()).toBe(2);
});

test('the order of an answer says nothing, unless only its first address counts', async () => {
  const all = rig();
  all.answers.push(answer(5000, '10.0.0.1', '10.0.0.2'), answer(5000, '10.0.0.2', '10.0.0.1'));
  all.resolution.take(['db']);
  all.resolution.use();
  await vi.advanceTimersByTimeAsync(6000);
  expect(all.asked()).toBe(2);
  expect(all.changes()).toBe(1);
  const first = rig(true);
  first.answers.push(answer(5000, '10.0.0.1', '10.0.0.2'), answer(5000, '10.0.0.2', '10.0.0.1'));
  first.resolution.take(['db']);
  first.resolution.use();
  await vi.advanceTimersByTimeAsync(6000);
  expect(first.changes()).toBe(2);
  expect(first.resolution.addressesOf('db')).toEqual(['10.0.0.2']);
});

test('what nobody calls is not looked up for ever, and is again when somebody does', async () => {
  const { answers, resolution, asked } = rig();
  answers.push(answer(60_000, '10.0.0.1'));
  resolution.take(['db']);
  resolution.use();
  await vi.advanceTimersByTimeAsync(3_600_000);
  const before = asked();
  expect(before).toBeLessThanOrEqual(6);
  expect(vi.getTimerCount()).toBe(0);
  resolution.use();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toBe(before + 1);
});

test('a name that is gone is not looked up, and nothing is after the end', async () => {
  const { answers, resolution, asked } = rig();
  answers.push(answer(5000, '10.0.0.1'));
  resolution.take(['a', 'b']);
  resolution.use();
  await vi.advanceTimersByTimeAsync(0);
  resolution.take(['b']);
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked()).toBe(3);
  resolution.close();
  expect(vi.getTimerCount()).toBe(0);
});
