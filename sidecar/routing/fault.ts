// Faults that a route injects: a delay, an answer in place of the call, or one after the other.
import type { RouteFault } from '#api/traffic/route.ts';

export interface Fault {
  /** Waited before anything else; 0: none. */
  readonly delayMs: number;
  /** Answered then (flag FI, body `fault filter abort`); null: the call goes on. */
  readonly abort: { readonly status: number; readonly grpcStatus?: number } | null;
}

/**
 * Draws whether a request meets a fault; null: it does not. Delay and abort are drawn apart, as in Envoy.
 * @param random gives numbers from 0 to below 1
 */
export function faultOf({ delay, abort }: RouteFault, random: () => number): Fault | null {
  const delayMs = delay !== undefined && isDrawn(delay.percent, random) ? delay.delayMs : 0;
  const aborted = abort !== undefined && isDrawn(abort.percent, random);
  return delayMs > 0 || aborted ? { delayMs, abort: aborted ? abort : null } : null;
}

/** Whether a share of `percent` (0 to 100) has this request: faults and mirrors. */
export function isDrawn(percent: number, random: () => number): boolean {
  return percent >= 100 || (percent > 0 && random() * 100 < percent);
}
