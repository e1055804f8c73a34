// Active health checks of a cluster that is in use: each member asked in its own rhythm.
import type { ActiveHealthCheck } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

/** A member as far as its checks go. */
export interface Checked {
  readonly address: string;
  /** Its checks failed. */
  failing: boolean;
}

export interface ChecksOptions<M> {
  readonly cluster: string;
  readonly policy: ActiveHealthCheck;
  /** '' where the member is well, else why not. */
  readonly probe: (member: M, policy: ActiveHealthCheck) => Promise<string>;
  readonly changed: (member: M) => void;
  readonly log: Log;
  readonly random?: () => number;
}

/** Checks of many sidecars must not come together: up to this part of the interval earlier or later. */
const jitter = 0.1;

interface Asked {
  timer: NodeJS.Timeout;
  /** Of the same result in a row. */
  well: number;
  bad: number;
}

export class HealthChecks<M extends Checked> {
  readonly policy: ActiveHealthCheck;
  readonly #options: ChecksOptions<M>;
  readonly #random: () => number;
  readonly #asked = new Map<M, Asked>();
  #members: readonly M[] = [];
  #started = false;

  constructor(options: ChecksOptions<M>) {
    this.policy = options.policy;
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** The cluster is called for the first time; later calls cost a comparison. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.take(this.#members);
  }

  /** Members from now on; those that stay keep their rhythm. */
  take(members: readonly M[]): void {
    this.#members = members;
    if (!this.#started) return;
    const present = new Set(members);
    for (const [member, { timer }] of this.#asked) {
      if (present.has(member)) continue;
      clearTimeout(timer);
      this.#asked.delete(member);
    }
    for (const member of members) {
      if (this.#asked.has(member)) continue;
      // The first ones spread over an interval, and are not all at once.
      const afterMs = this.policy.intervalMs * this.#random();
      this.#asked.set(member, { timer: this.#later(member, afterMs), well: 0, bad: 0 });
    }
  }

  /** Nobody is checked any more, and nobody is out because of it. */
  close(): void {
    for (const { timer } of this.#asked.values()) clearTimeout(timer);
    this.#asked.clear();
    for (const member of this.#members) member.failing = false;
    this.#started = false;
  }

  #later(member: M, afterMs: number): NodeJS.Timeout {
    return setTimeout(() => void this.#ask(member), afterMs).unref();
  }

  async #ask(member: M): Promise<void> {
    const fault = await this.#options.probe(member, this.policy);
    const asked = this.#asked.get(member);
    if (asked === undefined) return;
    this.#judge(member, asked, fault);
    const spread = 1 + jitter * (2 * this.#random() - 1);
    asked.timer = this.#later(member, this.policy.intervalMs * spread);
  }

  #judge(member: M, asked: Asked, fault: string): void {
    const { cluster, policy, changed, log } = this.#options;
    asked.well = fault === '' ? asked.well + 1 : 0;
    asked.bad = fault === '' ? 0 : asked.bad + 1;
    const failing = member.failing
      ? asked.well < policy.healthyThreshold
      : asked.bad >= policy.unhealthyThreshold;
    if (failing === member.failing) return;
    member.failing = failing;
    const { address } = member;
    const fields = { cluster, address, source: policy.source };
    if (failing) log.warn({ ...fields, fault }, 'endpoint fails its health checks');
    else log.info(fields, 'endpoint passes its health checks again');
    changed(member);
  }
}
