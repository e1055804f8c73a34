// Slow start: a new endpoint begins with a small share and grows into its own, as Envoy's.
import type { Warmup } from '#api/traffic/destination.ts';

/** The part of its weight that counts, over 0 to 1, `ageMs` after it came. */
export function warmth({ durationMs, minimumPercent, aggression }: Warmup, ageMs: number): number {
  if (ageMs >= durationMs) return 1;
  // Envoy counts from the first second, so that nobody begins with nothing.
  const grown = Math.max(ageMs, Math.min(1000, durationMs)) / durationMs;
  const part = grown ** (1 / (aggression > 0 ? aggression : 1));
  return Math.min(1, Math.max(part, minimumPercent / 100, 0.001));
}

/** Shares are counted anew so often while somebody warms up: fine enough, and seldom. */
export function stepMs({ durationMs }: Warmup): number {
  return Math.max(100, durationMs / 50);
}
