// Whether a cluster takes another call: its circuit breakers, by counts (as Envoy's) and by expression.
import { isDeepStrictEqual } from 'node:util';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import type { Failure } from '../failures.ts';
import type { Breaker } from './breaker/breaker.ts';
import { compileBreaker, refusalOf } from './breaker/compile.ts';
import { Limits } from './limit/limits.ts';
import type { Outcome } from './outcome.ts';

export class Admission {
  /** Null: nothing is counted. */
  limits: Limits | null = null;
  breaker: Breaker | null = null;
  #refusal: Failure | null = null;

  /** Parts that did not change keep their counts. */
  take(policy: TrafficPolicy, before: TrafficPolicy, cluster: string, log: Log): void {
    const { pool, retryBudget, breaker } = policy;
    if (pool !== undefined || retryBudget !== undefined || this.limits !== null) {
      // Connections and calls under way count in it, so it is never replaced by another one.
      this.limits ??= new Limits();
      this.limits.change(pool ?? {}, retryBudget);
    }
    if (isDeepStrictEqual(breaker, before.breaker)) return;
    this.breaker = breaker === undefined ? null : compileBreaker(breaker, cluster, log);
    this.#refusal = breaker === undefined ? null : refusalOf(breaker);
  }

  /** @param active calls under way */
  admit(active: number): Failure | null {
    const { limits, breaker } = this;
    if (limits === null && breaker === null) return null;
    const nowMs = performance.now();
    // The limits first: what they refuse takes no place among the calls of a recovery.
    const refusal = limits?.admit(active, nowMs) ?? null;
    if (refusal !== null) return refusal;
    return breaker === null || breaker.allows(nowMs) ? null : this.#refusal;
  }

  beginRetry(active: number): boolean {
    return this.limits === null || this.limits.beginRetry(active, performance.now());
  }

  note(outcome: Outcome): void {
    this.breaker?.note(outcome, performance.now());
  }
}
