// Calls that wait for a connection of a pool, in order, within the pool's bound and the cluster's.
import type { FailureCode } from '../failures.ts';

import type { Budget } from './budget.ts';
import { deadlineIn, unwatch, watch } from './sweep.ts';
import type { Sweepable } from './sweep.ts';
import type { UpstreamCall } from './upstream.ts';

interface Waiting {
  readonly call: UpstreamCall;
  dueMs: number;
}

export class WaitingCalls implements Sweepable {
  deadlineMs = 0;
  private readonly calls: Waiting[] = [];
  private readonly limits: { readonly pendingMax: number; readonly connectTimeoutMs: number };
  private readonly budget: Budget | null;
  private readonly whyLate: () => FailureCode;
  private waitMs: number;

  /** @param whyLate what a call is told that has waited for too long */
  constructor(
    limits: { readonly pendingMax: number; readonly connectTimeoutMs: number },
    budget: Budget | null,
    whyLate: () => FailureCode = () => 'overloaded',
  ) {
    this.limits = limits;
    this.budget = budget;
    this.whyLate = whyLate;
    this.waitMs = limits.connectTimeoutMs;
  }

  get size(): number {
    return this.calls.length;
  }

  /** @returns false: there is no room, and the call has failed */
  push(call: UpstreamCall): boolean {
    const { limits, budget } = this;
    const full = budget !== null && budget.pending >= budget.pendingMax;
    if (full || this.calls.length >= limits.pendingMax) {
      budget?.notePendingRefused();
      call.failed('overloaded');
      return false;
    }
    const dueMs = deadlineIn(this.waitMs);
    this.calls.push({ call, dueMs });
    if (budget !== null) budget.pending += 1;
    if (this.calls.length === 1) {
      this.deadlineMs = dueMs;
      watch(this);
    }
    return true;
  }

  /** Nobody waits for longer than that any more. */
  shorten(waitMs: number): void {
    this.waitMs = Math.min(this.waitMs, waitMs);
    const dueMs = deadlineIn(this.waitMs);
    for (const one of this.calls) one.dueMs = Math.min(one.dueMs, dueMs);
    if (this.calls.length > 0) this.deadlineMs = Math.min(this.deadlineMs, dueMs);
  }

  shift(): UpstreamCall | null {
    const next = this.calls.shift();
    if (next === undefined) return null;
    if (this.budget !== null) this.budget.pending -= 1;
    return next.call;
  }

  /** A call wants nothing any more. */
  remove(call: UpstreamCall): void {
    const at = this.calls.findIndex((one) => one.call === call);
    if (at < 0) return;
    this.calls.splice(at, 1);
    if (this.budget !== null) this.budget.pending -= 1;
  }

  takeAll(): UpstreamCall[] {
    const all = this.calls.splice(0);
    if (this.budget !== null) this.budget.pending -= all.length;
    return all.map(({ call }) => call);
  }

  expire(): void {
    const nowMs = performance.now();
    const why = this.whyLate();
    while (this.calls.length > 0 && this.calls[0]!.dueMs <= nowMs) this.shift()?.failed(why);
    const [first] = this.calls;
    if (first === undefined) unwatch(this);
    else this.deadlineMs = first.dueMs;
  }
}
