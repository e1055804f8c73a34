// The shared limits of a request: one question to each Redis, with all limits that are counted there.
import type { Exchange } from '../exchange.ts';
import type { SharedGroup, SharedLease } from './compile.ts';
import { isConcurrency, type CompiledLimit } from './compiled-limit.ts';
import type { MetLimit } from './layer.ts';
import { newLease } from './leases.ts';
import { answersPerKey } from './script.ts';

export interface SharedAnswer {
  readonly met: readonly MetLimit[];
  /** A limit that fails closed had no answer; null: the request may go on. */
  readonly failed: CompiledLimit | null;
}

/** Never rejects. */
export async function checkShared(
  x: Exchange,
  groups: readonly SharedGroup[],
  nowMs: number,
): Promise<SharedAnswer> {
  const answers = await Promise.all(groups.map((group) => checkGroup(x, group, nowMs)));
  const met = answers.flatMap((answer) => answer.met);
  return { met, failed: answers.find(({ failed }) => failed !== null)?.failed ?? null };
}

async function checkGroup(
  x: Exchange,
  { store, limits, failOpen }: SharedGroup,
  nowMs: number,
): Promise<SharedAnswer> {
  const { request } = x;
  const { facts } = x.downstream;
  const keys: string[] = [];
  const args: string[] = [];
  const asked: CompiledLimit[] = [];
  const leases: (SharedLease | null)[] = [];
  for (const limit of limits) {
    if (limit.scriptArguments === null || !limit.matches(facts, request)) continue;
    const [kind, ...numbers] = limit.scriptArguments(nowMs);
    const key = limit.sharedKey(kind, facts, request, x.consumer);
    const lease = isConcurrency(limit) ? { store, ...newLease(key) } : null;
    const words = numbers.map(String);
    if (lease !== null) words[words.length - 1] = lease.name;
    keys.push(key);
    args.push(kind, limit.enforce ? '1' : '0', ...words);
    asked.push(limit);
    leases.push(lease);
  }
  if (keys.length === 0) return { met: [], failed: null };
  const answer = await store.check(keys, args);
  if (answer === null) {
    // It may have been counted all the same, and the answer late.
    for (const lease of leases) lease?.store.release(lease);
    return { met: [], failed: noteFailure(asked, failOpen) };
  }
  const met = asked.map((limit, i): MetLimit => {
    const [admitted, remaining = 0, resetMs = 0, retryMs = 0, delayMs = 0] = answer.slice(
      i * answersPerKey,
    );
    const left = { remaining, resetMs, retryMs, delayMs };
    const lease = admitted === 1 ? (leases[i] ?? null) : null;
    if (lease !== null) store.hold(lease);
    return { limit, admitted: admitted === 1, ...left, word0: 0, word1: 0, lease };
  });
  return { met, failed: null };
}

/** The limit that refuses because of it; a limit that is not enforced refuses nothing. */
function noteFailure(asked: readonly CompiledLimit[], failOpen: boolean): CompiledLimit | null {
  let failed: CompiledLimit | null = null;
  for (const limit of asked) {
    const closed = !failOpen && limit.enforce;
    limit.state.counts[closed ? 'failedClosed' : 'failedOpen'] += 1;
    if (closed) failed ??= limit;
  }
  return failed;
}
