// How long a change takes until a sidecar enforces it: counted from the first change that waits, whatever comes after.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { Snapshot } from '#api/snapshot.ts';
import { Session } from '#control/push/session.ts';
import { snapshotOf } from '#test/sidecar/rig.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

const snapshot = (version: number): Snapshot => ({ ...snapshotOf({}), version });

function sessionWithLags(): { session: Session; lags: (number | null)[] } {
  const lags: (number | null)[] = [];
  const hello = {
    type: 'hello',
    namespace: 'a',
    workload: 'w',
    pod: 'p',
    version: '',
    have: 0,
  } as const;
  const events = {
    pushed: () => undefined,
    acked: (_version: number, lagMs: number | null) => void lags.push(lagMs),
    nacked: () => undefined,
  };
  const writer = { write: () => undefined, end: () => undefined };
  return { session: new Session(hello, 'w', writer, events), lags };
}

test('what a sidecar gets when it connects is no lag, a change is', () => {
  const { session, lags } = sessionWithLags();
  session.offer(snapshot(1), null);
  session.answer({ type: 'ack', version: 1 });
  session.offer(snapshot(2), Date.now());
  vi.advanceTimersByTime(70);
  session.answer({ type: 'ack', version: 2 });
  expect(lags).toEqual([null, 70]);
});

test('changes that come while an update is on its way count from the first of them', () => {
  const { session, lags } = sessionWithLags();
  session.offer(snapshot(1), null);
  session.offer(snapshot(2), Date.now());
  vi.advanceTimersByTime(100);
  session.offer(snapshot(3), Date.now());
  session.answer({ type: 'ack', version: 1 });
  vi.advanceTimersByTime(50);
  session.answer({ type: 'ack', version: 3 });
  expect(lags).toEqual([null, 150]);
});

test('a change that a sidecar refused has not arrived', () => {
  const { session, lags } = sessionWithLags();
  session.offer(snapshot(1), Date.now());
  session.answer({ type: 'nack', version: 1, reason: 'no' });
  vi.advanceTimersByTime(200);
  session.offer(snapshot(2), Date.now());
  session.answer({ type: 'ack', version: 2 });
  expect(lags).toEqual([200]);
});
