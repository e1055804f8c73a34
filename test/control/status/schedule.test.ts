import { expect, test } from 'vitest';

import { Schedule, type Candidate } from '#control/status/schedule.ts';

const timing = { messageEveryMs: 30_000, setbackGraceMs: 30_000, doubtMs: 2000 };
const changed: Candidate = {
  key: 'A/x/y',
  generation: 1,
  difference: 'status',
  setback: false,
  doubtful: false,
};

test('another status is due at once, none is never', () => {
  const schedule = new Schedule(timing);
  expect(schedule.isDue(changed, 0)).toBe(true);
  expect(schedule.isDue({ ...changed, difference: 'none' }, 0)).toBe(false);
});

test('a message alone is written now and then', () => {
  const schedule = new Schedule(timing);
  const message: Candidate = { ...changed, difference: 'message' };
  expect(schedule.isDue(message, 0)).toBe(true);
  schedule.written(message.key, 0);
  expect(schedule.isDue(message, 29_999)).toBe(false);
  expect(schedule.isDue(changed, 29_999)).toBe(true);
  expect(schedule.isDue(message, 30_000)).toBe(true);
  schedule.written(message.key, 30_000);
  expect(schedule.isDue({ ...message, generation: 2 }, 30_001)).toBe(true);
});

test('a setback is written when it lasts, not when a replica restarts', () => {
  const schedule = new Schedule(timing);
  const setback: Candidate = { ...changed, setback: true };
  expect(schedule.isDue(setback, 0)).toBe(false);
  expect(schedule.isDue(setback, 20_000)).toBe(false);
  expect(schedule.isDue({ ...changed, difference: 'none' }, 25_000)).toBe(false);
  expect(schedule.isDue(setback, 40_000)).toBe(false);
  expect(schedule.isDue(setback, 70_000)).toBe(true);
});

test('what may be about the generation before waits until control must have read it', () => {
  const schedule = new Schedule(timing);
  const doubtful: Candidate = { ...changed, doubtful: true };
  expect(schedule.isDue(doubtful, 0)).toBe(false);
  expect(schedule.isDue(changed, 100)).toBe(true);
  expect(schedule.isDue(doubtful, 2000)).toBe(true);
});

test('a resource that is gone is forgotten', () => {
  const schedule = new Schedule(timing);
  const message: Candidate = { ...changed, difference: 'message' };
  schedule.isDue(message, 0);
  schedule.written(message.key, 0);
  schedule.keepOnly(new Set());
  expect(schedule.isDue(message, 1)).toBe(true);
});
