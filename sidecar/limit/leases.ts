// Leases of requests under way that are counted in Redis: renewed while they last, so that those of a sidecar that is gone end.
import { randomBytes } from 'node:crypto';

/** How long Redis counts a request whose sidecar says nothing more of it. */
export const leaseMs = 15_000;
/** Each is renewed twice before it would end. */
export const partsOfLease = 3;
/** Of one renewal: Redis does nothing else meanwhile. */
const renewedMax = 500;

export interface Lease {
  readonly key: string;
  /** Of this request, and of no other in any sidecar. */
  readonly name: string;
}

/** Of this process; a number makes it one of a request. */
const prefix = randomBytes(9).toString('base64url');
let count = 0;

export function newLease(key: string): Lease {
  count += 1;
  return { key, name: `${prefix}${count.toString(36)}` };
}

export class Leases {
  readonly #renew: (leases: readonly Lease[], lastMs: number) => void;
  readonly #lastMs: number;
  readonly #held = new Map<Lease, number>();
  #timer: NodeJS.Timeout | null = null;

  /** @param renew makes leases last so long from now on */
  constructor(renew: (leases: readonly Lease[], lastMs: number) => void, lastMs = leaseMs) {
    this.#renew = renew;
    this.#lastMs = lastMs;
  }

  get size(): number {
    return this.#held.size;
  }

  hold(lease: Lease): void {
    this.#held.set(lease, performance.now());
    this.#timer ??= setInterval(() => this.#renewOld(), this.#lastMs / partsOfLease).unref();
  }

  /** @returns whether it was held */
  letGo(lease: Lease): boolean {
    const held = this.#held.delete(lease);
    if (this.#held.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    return held;
  }

  /** Redis may know of none any more. */
  renewAll(): void {
    this.#renewThese([...this.#held.keys()]);
  }

  #renewThese(leases: readonly Lease[]): void {
    for (let at = 0; at < leases.length; at += renewedMax) {
      this.#renew(leases.slice(at, at + renewedMax), this.#lastMs);
    }
  }

  /** What is younger than an interval has been told just now: of most requests Redis hears twice. */
  #renewOld(): void {
    const before = performance.now() - this.#lastMs / (2 * partsOfLease);
    const old = [...this.#held].filter(([, sinceMs]) => sinceMs < before).map(([lease]) => lease);
    this.#renewThese(old);
  }
}
