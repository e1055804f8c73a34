// Circuit breakers of a cluster: how many calls, retries and connections it may have at once, over all its members.
import type { ConnectionPool, TrafficPolicy } from '#api/traffic/destination.ts';

import { failures, type Failure } from '../../failures.ts';
import type { Budget } from '../../wire/budget.ts';

export type Limit = 'requests' | 'connections' | 'pending' | 'retries';

/** As Envoy answers; the caller's own connection has done nothing wrong and stays. */
export const overflow: Failure = Object.freeze({
  ...failures.overloaded,
  details: 'upstream_reset_before_response_started{overflow}',
  body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
  close: false,
});

export class Limits implements Budget {
  connections = 0;
  pending = 0;
  connectionsMax = Infinity;
  pendingMax = Infinity;
  /** What went over, for metrics. */
  readonly refused: Record<Limit, number> = { requests: 0, connections: 0, pending: 0, retries: 0 };
  #requestsMax = Infinity;
  #retriesMax = Infinity;
  #retryBudget: NonNullable<TrafficPolicy['retryBudget']> | null = null;
  #retries = 0;
  readonly #lately = new LatelyBegun();

  /** Everything that a policy leaves out is unlimited, as Istio sets Envoy. */
  change(pool: ConnectionPool, retryBudget: TrafficPolicy['retryBudget']): void {
    this.connectionsMax = pool.maxConnections ?? Infinity;
    this.pendingMax = pool.maxPendingRequests ?? Infinity;
    this.#requestsMax = pool.maxRequests ?? Infinity;
    this.#retriesMax = pool.maxRetries ?? Infinity;
    this.#retryBudget = retryBudget ?? null;
    this.#lately.intervalMs = retryBudget?.intervalMs ?? 0;
  }

  /** @param active calls under way */
  admit(active: number, nowMs: number): Failure | null {
    if (active >= this.#requestsMax) {
      this.refused.requests += 1;
      return overflow;
    }
    if (this.#lately.intervalMs > 0) this.#lately.count(nowMs);
    return null;
  }

  /** @returns false: over the limit, the first answer counts; true: `endRetry` must follow */
  beginRetry(active: number, nowMs: number): boolean {
    if (this.#retries >= this.#retriesAllowed(active, nowMs)) {
      this.refused.retries += 1;
      return false;
    }
    this.#retries += 1;
    return true;
  }

  /** Of a retry that began before there were limits, nothing was counted. */
  endRetry(): void {
    if (this.#retries > 0) this.#retries -= 1;
  }

  admitConnection(): Failure | null {
    if (this.connections < this.connectionsMax) return null;
    this.refused.connections += 1;
    return overflow;
  }

  noteConnectionRefused(): void {
    this.refused.connections += 1;
  }

  notePendingRefused(): void {
    this.refused.pending += 1;
  }

  /** A budget takes the place of `maxRetries`. */
  #retriesAllowed(active: number, nowMs: number): number {
    const budget = this.#retryBudget;
    if (budget === null) return this.#retriesMax;
    const calls = budget.intervalMs > 0 ? Math.max(active, this.#lately.number(nowMs)) : active;
    return Math.max(budget.minConcurrency, Math.floor((calls * budget.percent) / 100));
  }
}

/** Calls begun in the last interval, by two counters: the one before counts as if spread evenly. */
class LatelyBegun {
  intervalMs = 0;
  #sinceMs = 0;
  #now = 0;
  #before = 0;

  count(nowMs: number): void {
    this.#turn(nowMs);
    this.#now += 1;
  }

  number(nowMs: number): number {
    this.#turn(nowMs);
    const rest = 1 - (nowMs - this.#sinceMs) / this.intervalMs;
    return this.#now + this.#before * rest;
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#sinceMs;
    if (ageMs < this.intervalMs) return;
    this.#before = ageMs < 2 * this.intervalMs ? this.#now : 0;
    this.#now = 0;
    this.#sinceMs = ageMs < 2 * this.intervalMs ? this.#sinceMs + this.intervalMs : nowMs;
  }
}
