// Which calls are tried again, how often, after how long: Istio's default, of what was certainly not processed.
import type { UpstreamPool } from '../exchange.ts';
import type { UpstreamCall } from '../wire/upstream.ts';

/** What a route may say about retries; today every route has the default. */
export interface RetryPolicy {
  /** The first one included. */
  readonly attemptsMax: number;
  /** Of the first wait, which is random below it; each next one may be about twice as long. */
  readonly baseDelayMs: number;
}

/** As Istio's: two more, after what Envoy waits. */
export const defaultRetry: RetryPolicy = Object.freeze({ attemptsMax: 3, baseDelayMs: 25 });

const growthMax = 10;

/**
 * Envoy's jittered backoff: anything up to the base, three, seven … times the base, ten at most.
 * @param failed attempts until now, from 1
 */
export function retryDelayMs(policy: RetryPolicy, failed: number, random = Math.random()): number {
  return random * policy.baseDelayMs * Math.min(growthMax, 2 ** failed - 1);
}

/** A pool that is asked later; a call that gives up meanwhile never reaches it. */
export function delayed(pool: UpstreamPool, delayMs: number): UpstreamPool {
  let timer: NodeJS.Timeout | null = null;
  return {
    address: pool.address,
    request(call: UpstreamCall): void {
      timer = setTimeout(() => {
        timer = null;
        pool.request(call);
      }, delayMs);
    },
    cancel(call: UpstreamCall): void {
      if (timer === null) pool.cancel(call);
      else clearTimeout(timer);
    },
    close: () => pool.close(),
  };
}
