// How many certificates in what time: a token bucket for each identity and one for all.
import type { Clock } from '#runtime/clock.ts';

interface Rate {
  /** Refill. */
  readonly perSecond: number;
  /** What a bucket holds at most, and at first. */
  readonly burst: number;
}

export interface LimitOptions {
  readonly perIdentity: Rate;
  readonly overall: Rate;
  readonly clock: Clock;
  /** Buckets kept; 50 000 where it is left out. */
  readonly identitiesMax?: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class Limit {
  readonly #options: LimitOptions;
  readonly #overall: Bucket;
  /** In the order of last use. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: LimitOptions) {
    this.#options = options;
    this.#overall = { tokens: options.overall.burst, atMs: options.clock.now() };
  }

  /** Takes one; 0 when there was one, else ms until there is one again. */
  take(identity: string): number {
    const { perIdentity, overall, clock, identitiesMax = 50_000 } = this.#options;
    const now = clock.now();
    const bucket = this.#buckets.get(identity) ?? { tokens: perIdentity.burst, atMs: now };
    this.#buckets.delete(identity);
    this.#buckets.set(identity, bucket);
    if (this.#buckets.size > identitiesMax) {
      // The one unused for longest has refilled most: forgetting it gives least away.
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    const waitMs = Math.max(refill(bucket, perIdentity, now), refill(this.#overall, overall, now));
    if (waitMs > 0) return waitMs;
    bucket.tokens -= 1;
    this.#overall.tokens -= 1;
    return 0;
  }
}

/** Fills a bucket for the time that passed; 0 when it has a token, else ms until it has. */
function refill(bucket: Bucket, rate: Rate, nowMs: number): number {
  const passedMs = Math.max(0, nowMs - bucket.atMs);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + (passedMs / 1000) * rate.perSecond);
  bucket.atMs = nowMs;
  return bucket.tokens >= 1 ? 0 : Math.ceil(((1 - bucket.tokens) / rate.perSecond) * 1000);
}
