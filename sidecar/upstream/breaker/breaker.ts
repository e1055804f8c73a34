// Traefik's circuit breaker: open while its condition held lately, then calls come back in a growing part.
import type { BreakerMetric } from '#api/traffic/breaker-expression.ts';
import type { ExpressionBreaker } from '#api/traffic/destination.ts';

import type { Outcome } from '../outcome.ts';
import { Observed } from './observed.ts';

export type BreakerState = 'closed' | 'open' | 'recovering';

/** Whether an expression holds for what is measured. */
export type Condition = (measure: (metric: BreakerMetric) => number) => boolean;

export class Breaker {
  state: BreakerState = 'closed';
  /** How often it opened. */
  opened = 0;
  readonly #policy: ExpressionBreaker;
  readonly #holds: Condition;
  readonly #changed: (state: BreakerState) => void;
  readonly #observed = new Observed();
  #checkedAtMs = 0;
  /** When the present state began. */
  #sinceMs = 0;
  #allowed = 0;
  #asked = 0;

  constructor(policy: ExpressionBreaker, holds: Condition, changed: (state: BreakerState) => void) {
    this.#policy = policy;
    this.#holds = holds;
    this.#changed = changed;
  }

  /** Whether a call may begin. */
  allows(nowMs: number): boolean {
    const { fallbackMs, recoveryMs } = this.#policy;
    if (this.state === 'closed') return true;
    if (this.state === 'open') {
      if (nowMs - this.#sinceMs < fallbackMs) return false;
      this.#enter('recovering', nowMs);
    }
    const part = (nowMs - this.#sinceMs) / recoveryMs;
    if (part >= 1) {
      this.#enter('closed', nowMs);
      return true;
    }
    this.#asked += 1;
    // Of all since it began half the part: then of those that come now it is the part itself.
    if ((this.#allowed + 1) / this.#asked > part / 2) return false;
    this.#allowed += 1;
    return true;
  }

  note(outcome: Outcome, nowMs: number): void {
    // Calls that began before it opened say what is known already.
    if (this.state === 'open') return;
    this.#observed.note(outcome, nowMs);
    if (nowMs - this.#checkedAtMs < this.#policy.checkMs) return;
    this.#checkedAtMs = nowMs;
    if (!this.#holds((metric) => this.#observed.measure(metric, nowMs))) return;
    this.opened += 1;
    this.#observed.clear();
    this.#enter('open', nowMs);
  }

  #enter(state: BreakerState, nowMs: number): void {
    this.state = state;
    this.#sinceMs = nowMs;
    this.#allowed = 0;
    this.#asked = 0;
    this.#changed(state);
  }
}
