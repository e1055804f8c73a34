// Outlier detection as Envoy does it: who fails again and again is left out for a while, longer each time.
import type { OutlierDetection } from '#api/traffic/destination.ts';

import { isGatewayStatus, type Outcome } from '../outcome.ts';

export type EjectionReason = 'consecutive-5xx' | 'consecutive-gateway' | 'consecutive-local-origin';

/** A member as the detector sees it. */
export interface Watched {
  /** Null until it fails for the first time. */
  monitor: Monitor | null;
  ejected: boolean;
}

/** What is remembered of one member. */
export class Monitor {
  consecutive5xx = 0;
  consecutiveGateway = 0;
  consecutiveLocal = 0;
  /** How many base times the next ejection lasts; every quiet sweep takes one off. */
  multiplier = 0;
  ejectedAtMs = 0;

  forgive(): void {
    this.consecutive5xx = 0;
    this.consecutiveGateway = 0;
    this.consecutiveLocal = 0;
  }
}

export interface DetectorEvents<M> {
  ejected(member: M, reason: EjectionReason, forMs: number): void;
  returned(member: M): void;
}

/** Envoy's, where the base time is not longer itself. */
const ejectionMsMax = 300_000;

export class OutlierDetector<M extends Watched> {
  policy: OutlierDetection;
  readonly #members: () => readonly M[];
  readonly #events: DetectorEvents<M>;

  constructor(policy: OutlierDetection, members: () => readonly M[], events: DetectorEvents<M>) {
    this.policy = policy;
    this.#members = members;
    this.#events = events;
  }

  /** A sweep has something to do: without one, no timer need run. */
  get busy(): boolean {
    return this.#members().some(
      ({ ejected, monitor }) => ejected || (monitor !== null && monitor.multiplier > 0),
    );
  }

  note(member: M, outcome: Outcome, nowMs: number): void {
    const { fault, status } = outcome;
    if (fault === 'none') {
      if (status !== 0) this.#responded(member, status, nowMs);
      return;
    }
    const monitor = (member.monitor ??= new Monitor());
    const { policy } = this;
    if (!policy.splitLocalOrigin) {
      // As the 503 or 504 that the caller gets.
      this.#failed(member, monitor, true, nowMs);
      return;
    }
    monitor.consecutiveLocal += 1;
    if (monitor.consecutiveLocal !== policy.consecutiveLocalOrigin) return;
    monitor.consecutiveLocal = 0;
    this.#eject(member, monitor, 'consecutive-local-origin', nowMs);
  }

  /** Every `intervalMs` while `busy`. */
  sweep(nowMs: number): void {
    for (const member of this.#members()) {
      const { monitor } = member;
      if (monitor === null) continue;
      if (!member.ejected) {
        if (monitor.multiplier > 0) monitor.multiplier -= 1;
      } else if (nowMs - monitor.ejectedAtMs >= this.#lastsMs(monitor)) this.restore(member);
    }
  }

  /** Brings back a member before its time: its active check succeeds, or the policy is gone. */
  restore(member: M): void {
    if (!member.ejected) return;
    member.ejected = false;
    member.monitor?.forgive();
    this.#events.returned(member);
  }

  #responded(member: M, status: number, nowMs: number): void {
    const { statuses } = this.policy;
    const bad = statuses === undefined ? status >= 500 : statuses.includes(status);
    if (!bad) {
      member.monitor?.forgive();
      return;
    }
    const monitor = (member.monitor ??= new Monitor());
    // A response, however bad, came through a connection that works.
    monitor.consecutiveLocal = 0;
    // Statuses of one's own choice stand for a plain 500, as in Envoy.
    this.#failed(member, monitor, statuses === undefined && isGatewayStatus(status), nowMs);
  }

  #failed(member: M, monitor: Monitor, gateway: boolean, nowMs: number): void {
    const { consecutive5xx, consecutiveGatewayErrors } = this.policy;
    monitor.consecutiveGateway = gateway ? monitor.consecutiveGateway + 1 : 0;
    if (gateway && monitor.consecutiveGateway === consecutiveGatewayErrors) {
      monitor.consecutiveGateway = 0;
      this.#eject(member, monitor, 'consecutive-gateway', nowMs);
    }
    monitor.consecutive5xx += 1;
    if (monitor.consecutive5xx !== consecutive5xx) return;
    monitor.consecutive5xx = 0;
    this.#eject(member, monitor, 'consecutive-5xx', nowMs);
  }

  #eject(member: M, monitor: Monitor, reason: EjectionReason, nowMs: number): void {
    // The last calls of one that has left end after it: there is nobody to bring back.
    if (member.ejected || !this.#mayEject() || !this.#members().includes(member)) return;
    member.ejected = true;
    monitor.ejectedAtMs = nowMs;
    // No further than the longest time, or quiet sweeps would take it off for hours.
    if (monitor.multiplier * this.policy.baseEjectionMs < this.#lastsMsMax) monitor.multiplier += 1;
    this.#events.ejected(member, reason, this.#lastsMs(monitor));
  }

  /** One may always go (or 10 % of three would be nobody); beyond it the limit holds. */
  #mayEject(): boolean {
    const { maxEjectionPercent } = this.policy;
    const members = this.#members();
    let ejected = 0;
    for (const member of members) if (member.ejected) ejected += 1;
    if (ejected === 0) return maxEjectionPercent > 0;
    return (ejected + 1) * 100 <= maxEjectionPercent * members.length;
  }

  get #lastsMsMax(): number {
    return Math.max(ejectionMsMax, this.policy.baseEjectionMs);
  }

  #lastsMs(monitor: Monitor): number {
    return Math.min(this.policy.baseEjectionMs * monitor.multiplier, this.#lastsMsMax);
  }
}
