import { afterEach, expect, test } from 'vitest';

import { Session } from '#control/push/session.ts';
import { Sessions } from '#control/push/sessions.ts';

import { webSnapshot } from './fixtures.ts';

const limits = { pingEveryMs: 60_000, answerTimeoutMs: 60_000, ageMaxMs: 3_600_000 };
const open: Sessions[] = [];
afterEach(() => {
  for (const sessions of open.splice(0)) sessions.close();
});

/** Sidecars of one workload that have been sent a snapshot and have not answered. */
function setUp(count: number): { sessions: Sessions; answer: (from: number, to: number) => void } {
  const sessions = new Sessions(() => webSnapshot(1, ['x']), limits);
  open.push(sessions);
  const silent = { pushed: () => undefined, acked: () => undefined, nacked: () => undefined };
  const all = Array.from({ length: count }, (_, i) => {
    const hello = { type: 'hello', namespace: 'a', workload: 'web', version: '', have: 0 } as const;
    const writer = { write: () => undefined, end: () => undefined };
    const session = new Session({ ...hello, pod: `web-${i}` }, 'web', writer, silent);
    sessions.add(session);
    return session;
  });
  const answer = (from: number, to: number): void => {
    for (const session of all.slice(from, to)) session.answer({ type: 'ack', version: 1 });
  };
  return { sessions, answer };
}

test('a publication has settled when nine in ten have answered', async () => {
  const { sessions, answer } = setUp(20);
  answer(0, 17);
  let settled = false;
  const settling = sessions.settled(10_000).then(() => (settled = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(settled).toBe(false);
  answer(17, 18);
  await settling;
  expect(settled).toBe(true);
});

test('where nobody is connected, or all have answered, it has settled at once', async () => {
  await setUp(0).sessions.settled(10_000);
  const { sessions, answer } = setUp(3);
  answer(0, 3);
  await sessions.settled(10_000);
  expect(sessions.count).toBe(3);
});

test('sidecars that never answer are waited for no longer than was said', async () => {
  const startedAtMs = Date.now();
  await setUp(3).sessions.settled(50);
  expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(49);
});
