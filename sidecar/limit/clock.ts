// The clock of limits: milliseconds since 1970 that never step back, in fractions.

const checkEveryMs = 1000;
/** Less is the slow correction of a clock, which a machine's sleep or an operator's hand is not. */
const jumpMs = 1000;

let originMs = performance.timeOrigin;
let checkAtMs = 0;

/** Follows the wall clock where that jumps forward (a machine that slept), so that quotas begin when a day does. */
export function nowMs(): number {
  const now = originMs + performance.now();
  if (now < checkAtMs) return now;
  checkAtMs = now + checkEveryMs;
  const aheadMs = Date.now() - now;
  if (aheadMs < jumpMs) return now;
  originMs += aheadMs;
  return now + aheadMs;
}
