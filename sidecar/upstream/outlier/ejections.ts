// Ejections of one cluster: the detector with its timer, and what is told of each to people and to metrics.
import type { OutlierDetection } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import type { Outcome } from '../outcome.ts';
import { OutlierDetector, type EjectionReason, type Watched } from './detector.ts';

/** Somebody was left out, or came back. */
export interface EjectionEvent {
  /** ISO 8601. */
  readonly at: string;
  readonly event: 'ejected' | 'returned';
  readonly address: string;
  readonly workload: string;
  /** Why it was left out; of a return: why that was. */
  readonly reason: EjectionReason;
  /** How long it is left out at least; 0 for a return. */
  readonly forMs: number;
}

export interface Ejectable extends Watched {
  readonly address: string;
  readonly endpoint: { readonly namespace: string; readonly workload: string };
}

/** The latest of a cluster, for the admin endpoint. */
const eventsMax = 32;

export class Ejections<M extends Ejectable> {
  readonly events: EjectionEvent[] = [];
  readonly counts = new Map<EjectionReason, number>();
  readonly #detector: OutlierDetector<M>;
  readonly #reasons = new WeakMap<M, EjectionReason>();
  readonly #cluster: string;
  readonly #log: Log;
  /** Who may be called has changed. */
  readonly #changed: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    cluster: string,
    policy: OutlierDetection,
    members: () => readonly M[],
    changed: () => void,
    log: Log,
  ) {
    this.#cluster = cluster;
    this.#log = log;
    this.#changed = changed;
    this.#detector = new OutlierDetector(policy, members, {
      ejected: (member, reason, forMs) => this.#ejected(member, reason, forMs),
      returned: (member) => this.#returned(member),
    });
  }

  note(member: M, outcome: Outcome): void {
    this.#detector.note(member, outcome, performance.now());
  }

  /** Takes other limits; what is remembered of members stays. */
  change(policy: OutlierDetection): void {
    const slower = policy.intervalMs !== this.#detector.policy.intervalMs;
    this.#detector.policy = policy;
    if (slower && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      this.#watch();
    }
  }

  restore(member: M): void {
    this.#detector.restore(member);
  }

  /** Members that went away leave no timer behind. */
  close(members: readonly M[]): void {
    for (const member of members) this.#detector.restore(member);
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #watch(): void {
    this.#timer ??= setInterval(() => this.#sweep(), this.#detector.policy.intervalMs).unref();
  }

  #sweep(): void {
    this.#detector.sweep(performance.now());
    if (this.#detector.busy || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #ejected(member: M, reason: EjectionReason, forMs: number): void {
    this.#reasons.set(member, reason);
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1);
    this.#tell(member, 'ejected', reason, forMs);
    this.#watch();
  }

  #returned(member: M): void {
    this.#tell(member, 'returned', this.#reasons.get(member) ?? 'consecutive-5xx', 0);
  }

  #tell(member: M, event: EjectionEvent['event'], reason: EjectionReason, forMs: number): void {
    const { address, endpoint } = member;
    const workload = `${endpoint.namespace}/${endpoint.workload}`;
    this.events.push({ at: new Date().toISOString(), event, address, workload, reason, forMs });
    if (this.events.length > eventsMax) this.events.shift();
    const fields = { cluster: this.#cluster, address, workload, reason };
    if (event === 'ejected') this.#log.warn({ ...fields, forMs }, 'endpoint ejected');
    else this.#log.info(fields, 'ejected endpoint returned');
    this.#changed();
  }
}
