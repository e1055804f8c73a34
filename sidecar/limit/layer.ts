// The layer of limits: counts a request, and passes it, lets it wait for its turn, or refuses it.
import type { Exchange } from '../exchange.ts';
import { failures } from '../failures.ts';
import { PASS, type Outcome } from '../request-path.ts';
import { taken } from './algorithm.ts';
import { limitHeaders, refusalOf, type Met } from './answer.ts';
import { nowMs } from './clock.ts';
import type { CompiledLimits, SharedLease, UnderWay } from './compile.ts';
import { isConcurrency, takeLocal, refundLocal, type CompiledLimit } from './compiled-limit.ts';
import { checkShared } from './shared-check.ts';

/** Requests of the process that wait for their turn; of more, each is refused. */
const waitingMax = 10_000;
let waiting = 0;

/** A limit that a request met, with its key where it is counted here. */
export interface MetLimit extends Met {
  readonly word0: number;
  readonly word1: number;
  readonly delayMs: number;
  /** Of a request that Redis counts as under way. */
  readonly lease: SharedLease | null;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Of the request that is counted at this moment; kept, so that counting allocates nothing. */
const records: Writable<MetLimit>[] = [];

/** After authorization: who is refused anyway uses up nobody's limit. */
export function limitLayer(x: Exchange): Outcome | Promise<Outcome> {
  const limits = x.enforced?.limits ?? null;
  // One that is over already, while a layer before waited, would never give back what it takes.
  if (limits === null || x.finishedAtMs !== 0) return PASS;
  const takenAtMs = nowMs();
  const count = takeAll(x, limits, takenAtMs);
  let refused = false;
  for (let i = 0; i < count; i++) refused ||= isRefusal(records[i]);
  if (refused || limits.shared.length === 0) return settle(x, limits, records, count, takenAtMs);
  const met = records.slice(0, count).map((record) => ({ ...record }));
  return checkShared(x, limits.shared, takenAtMs).then(({ met: shared, failed }) => {
    const all = [...met, ...shared];
    if (failed === null) return settle(x, limits, all, all.length, takenAtMs);
    refundAll(all, all.length, takenAtMs);
    return unavailable(failed);
  });
}

/** At the end of an exchange: it is not under way any more. */
export function releaseLimits(x: Exchange): void {
  const underWay = x.enforced?.limits?.underWay ?? null;
  if (underWay === null) return;
  const list = underWay.get(x);
  if (list === undefined) return;
  underWay.delete(x);
  for (const { limit, word0, word1, lease } of list) {
    const { table } = limit.state;
    if (table !== null) refundLocal(limit, table, word0, word1, 0);
    lease?.store.release(lease);
  }
}

/** Counts the request by all limits of this process. @returns how many records it filled */
function takeAll(x: Exchange, limits: CompiledLimits, atMs: number): number {
  const { request } = x;
  const { facts } = x.downstream;
  let count = 0;
  for (const limit of limits.local) {
    const { table } = limit.state;
    if (table === null || !limit.matches(facts, request)) continue;
    const words = limit.hashKey(facts, request, x.consumer);
    const admitted = takeLocal(limit, table, words, atMs);
    const record = (records[count] ??= emptyRecord(limit));
    count += 1;
    record.limit = limit;
    record.admitted = admitted;
    record.remaining = taken.remaining;
    record.resetMs = taken.resetMs;
    record.retryMs = taken.retryMs;
    record.delayMs = taken.delayMs;
    record.word0 = words[0] ?? 0;
    record.word1 = words[1] ?? 0;
  }
  return count;
}

/** All answers are here: the request goes on, waits or is refused. @param count of `met` */
function settle(
  x: Exchange,
  limits: CompiledLimits,
  met: readonly MetLimit[],
  count: number,
  takenAtMs: number,
): Outcome | Promise<Outcome> {
  if (count === 0) return PASS;
  const refusal = refusalOf(x, met, count);
  if (refusal !== null) {
    refundAll(met, count, takenAtMs);
    countRefused(met, count);
    return refusal;
  }
  let delayMs = 0;
  for (let i = 0; i < count; i++) {
    const one = met[i];
    if (one === undefined) continue;
    if (one.admitted) one.limit.state.counts.allowed += 1;
    else one.limit.state.counts.wouldLimit += 1;
    if (one.limit.enforce && one.delayMs > delayMs) delayMs = one.delayMs;
  }
  if (limits.underWay !== null) noteUnderWay(x, limits.underWay, met.slice(0, count));
  const lines = limitHeaders(met, count);
  if (lines.length > 0) x.responseHeaders = [...x.responseHeaders, ...lines];
  if (delayMs === 0) return PASS;
  if (waiting >= waitingMax) return failures.overloaded;
  return wait(delayMs);
}

async function wait(delayMs: number): Promise<Outcome> {
  waiting += 1;
  await new Promise((resolve) => setTimeout(resolve, Math.ceil(delayMs)));
  waiting -= 1;
  return PASS;
}

function refundAll(met: readonly MetLimit[], count: number, takenAtMs: number): void {
  for (let i = 0; i < count; i++) {
    const one = met[i];
    const table = one?.limit.state.table ?? null;
    one?.lease?.store.release(one.lease);
    if (one === undefined || table === null || !one.admitted) continue;
    refundLocal(one.limit, table, one.word0, one.word1, takenAtMs);
  }
}

function countRefused(met: readonly MetLimit[], count: number): void {
  for (let i = 0; i < count; i++) {
    const one = met[i];
    if (one === undefined || one.admitted) continue;
    if (one.limit.enforce) one.limit.state.counts.limited += 1;
    else one.limit.state.counts.wouldLimit += 1;
  }
}

function noteUnderWay(
  x: Exchange,
  underWay: Map<Exchange, UnderWay[]>,
  met: readonly MetLimit[],
): void {
  const list = met
    .filter(({ limit, admitted }) => admitted && isConcurrency(limit))
    .map(({ limit, word0, word1, lease }) => ({ limit, word0, word1, lease }));
  if (list.length === 0) return;
  underWay.set(x, list);
  // While Redis was asked it may have come to its end.
  if (x.finishedAtMs !== 0) releaseLimits(x);
}

function isRefusal(met: MetLimit | undefined): boolean {
  return met !== undefined && !met.admitted && met.limit.enforce;
}

function emptyRecord(limit: CompiledLimit): Writable<MetLimit> {
  return {
    limit,
    admitted: false,
    remaining: 0,
    resetMs: 0,
    retryMs: 0,
    delayMs: 0,
    word0: 0,
    word1: 0,
    lease: null,
  };
}

function unavailable(limit: CompiledLimit): Outcome {
  const why = `Redis does not answer for ${limit.name}`;
  return { ...failures['limiter-failed'], why, limit: limit.name };
}
