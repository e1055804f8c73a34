import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Watch } from '#cli/dashboard/watch.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

function watchOf(read: () => Promise<number>): Watch<number> {
  return new Watch({ read, everyMs: 2000, idleMs: 10_000, now: Date.now });
}

test('it is read while somebody looks, and no longer', async () => {
  let reads = 0;
  const watch = watchOf(async () => (reads += 1));
  expect((await watch.look()).value).toBe(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reads).toBeLessThanOrEqual(7);
  const before = reads;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reads).toBe(before);
  expect((await watch.look()).value).toBe(before + 1);
  watch.close();
});

test('what fails keeps what was known, and says why', async () => {
  let isBroken = false;
  const watch = watchOf(() => (isBroken ? Promise.reject(new Error('gone')) : Promise.resolve(7)));
  await watch.look();
  isBroken = true;
  await vi.advanceTimersByTimeAsync(2100);
  expect(await watch.look()).toMatchObject({ value: 7, error: 'gone' });
  watch.close();
});

test('all who ask at once wait for one reading', async () => {
  let reads = 0;
  const watch = watchOf(async () => (reads += 1));
  await Promise.all([watch.look(), watch.look(), watch.look()]);
  expect(reads).toBe(1);
  watch.close();
});

test('reading that takes long is done more rarely', async () => {
  let reads = 0;
  const watch = watchOf(async () => {
    await new Promise((end) => setTimeout(end, 3000));
    return (reads += 1);
  });
  const first = watch.look();
  await vi.advanceTimersByTimeAsync(3000);
  await first;
  await vi.advanceTimersByTimeAsync(11_000);
  expect(reads).toBe(1);
  watch.close();
});
