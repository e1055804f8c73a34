// Who is followed when pods come, go, and come again.
import { expect, test } from 'vitest';

import { followAll } from '#cli/sidecars/follow-all.ts';
import type { AskableSidecar } from '#cli/sidecars/source.ts';

/** A workload whose pods come and go as the test says. */
class Workload {
  readonly stop = new AbortController();
  readonly lines: string[] = [];
  readonly lost: string[] = [];
  looks = 0;
  /** Pods that go are cut off, as in a cluster. */
  cuts = false;
  readonly #ends = new Map<string, () => void>();
  readonly #pods = new Map<string, AskableSidecar>();

  come(pod: string, works = true): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ends.set(pod, resolve);
    this.#pods.set(pod, {
      namespace: 'shop',
      workload: 'web',
      pod,
      ask: async () => null,
      post: async () => null,
      follow: async (path, onLine, signal, onOpen) => {
        if (!works) throw new Error(`${pod} is away`);
        onOpen?.();
        onLine(`${pod} ${path}`);
        signal.addEventListener('abort', () => resolve());
        await promise;
        if (this.cuts) throw new Error(`${pod} was cut off`);
      },
    });
  }

  go(pod: string): void {
    this.#pods.delete(pod);
    this.#ends.get(pod)?.();
  }

  follow(most = 10): Promise<number> {
    const list = async (): Promise<readonly AskableSidecar[]> => {
      this.looks += 1;
      return [...this.#pods.values()];
    };
    return followAll(
      [...this.#pods.values()],
      { path: '/tap', list, most, signal: this.stop.signal },
      {
        line: (value) => void this.lines.push(String(value)),
        lost: ({ error }) => void this.lost.push(error.message),
      },
    );
  }
}

test.each([false, true])(
  'a pod that takes the place of another is followed too; cut off: %s',
  async (cuts) => {
    const workload = new Workload();
    workload.cuts = cuts;
    workload.come('a');
    const heard = workload.follow();
    await expect.poll(() => workload.lines).toEqual(['a /tap']);
    workload.come('b');
    workload.go('a');
    await expect.poll(() => workload.lines).toEqual(['a /tap', 'b /tap']);
    workload.stop.abort();
    expect(await heard).toBe(2);
    expect(workload.lost).toEqual([]);
  },
);

test('the last one may be gone for a moment before another comes', async () => {
  const workload = new Workload();
  workload.come('a');
  const heard = workload.follow();
  workload.go('a');
  setTimeout(() => workload.come('a'), 500);
  await expect.poll(() => workload.lines).toEqual(['a /tap', 'a /tap']);
  workload.go('a');
  expect(await heard).toBe(2);
});

test('one that cannot be followed is told of once, and those beyond the limit have to wait', async () => {
  const workload = new Workload();
  workload.come('away', false);
  workload.come('b');
  workload.come('c');
  workload.come('d');
  const heard = workload.follow(3);
  await expect.poll(() => workload.lines).toEqual(['b /tap', 'c /tap']);
  workload.go('b');
  await expect.poll(() => workload.lines).toEqual(['b /tap', 'c /tap', 'd /tap']);
  workload.stop.abort();
  await heard;
  expect(workload.lost).toEqual(['away is away']);
});

test('a pod whose sidecar is just starting is asked again before it is told of', async () => {
  const workload = new Workload();
  workload.come('a');
  const heard = workload.follow();
  await expect.poll(() => workload.lines).toEqual(['a /tap']);
  workload.come('b', false);
  workload.come('c', false);
  // Another look comes soon after one has ended.
  workload.go('a');
  await expect.poll(() => workload.looks).toBe(1);
  workload.come('b');
  await expect.poll(() => workload.lines).toEqual(['a /tap', 'b /tap']);
  await expect.poll(() => workload.lost).toEqual(['c is away']);
  workload.stop.abort();
  await heard;
});

test('where none can be followed nobody waits', async () => {
  const workload = new Workload();
  workload.come('a', false);
  workload.come('b', false);
  expect(await workload.follow()).toBe(0);
  expect(workload.looks).toBe(0);
  expect(workload.lost).toEqual(['a is away', 'b is away']);
});
