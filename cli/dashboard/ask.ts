// Asks many sidecars the same, each within its time; nobody waits for one that is gone.
import type { AskableSidecar } from '../sidecars/source.ts';

/** What a sidecar answered: nothing, and why, where it did not. */
export interface Answer<T> {
  readonly sidecar: AskableSidecar;
  readonly value: T | null;
  readonly error: string;
}

const answerWithinMs = 5000;
const atOnceMax = 8;

/** One after the other, some at once: a cluster has a connection for each. Never rejects. */
export async function askAll<T>(
  sidecars: readonly AskableSidecar[],
  path: string,
): Promise<Answer<T>[]> {
  const answers: Answer<T>[] = [];
  const queue = sidecars.entries();
  const work = async (): Promise<void> => {
    for (const [i, sidecar] of queue) answers[i] = await askOne<T>(sidecar, path);
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, sidecars.length) }, work));
  return answers;
}

export function podOf({ namespace, pod }: { namespace: string; pod: string }): string {
  return `${namespace}/${pod}`;
}

async function askOne<T>(sidecar: AskableSidecar, path: string): Promise<Answer<T>> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`no answer within ${answerWithinMs / 1000} s`));
  }, answerWithinMs);
  try {
    const value = (await Promise.race([sidecar.ask(path), promise])) as T;
    return { sidecar, value, error: '' };
  } catch (error) {
    return { sidecar, value: null, error: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
