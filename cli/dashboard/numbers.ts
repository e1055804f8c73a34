// Numbers as a person reads them at a glance: rates, shares, times.
import { bucketBounds } from '#sidecar/telemetry/series.ts';

/** `0`, `<0.1`, `1.2`, `42`, `1.3k`: calls a second. */
export function rateText(perSecond: number): string {
  if (perSecond === 0) return '0';
  if (perSecond < 0.05) return '<0.1';
  if (perSecond < 9.95) return perSecond.toFixed(1);
  return countText(Math.round(perSecond));
}

/** `812`, `1.3k`, `48k`, `2.1M`. */
export function countText(count: number): string {
  if (count < 1000) return String(count);
  const [size, unit] = count < 999_500 ? [count / 1000, 'k'] : [count / 1_000_000, 'M'];
  return `${size < 9.95 ? size.toFixed(1) : Math.round(size)}${unit}`;
}

/** `100%` only where all of it is. */
export function shareText(part: number, whole: number): string {
  if (whole === 0) return '–';
  if (part === whole) return '100%';
  const percent = Math.floor((part / whole) * 1000) / 10;
  return `${percent.toFixed(1)}%`;
}

/** `0.4 ms`, `45 ms`, `1.2 s`. */
export function millisecondsText(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}

/**
 * The duration that a share of the calls stays below, in ms; null without calls. As Prometheus reckons it: evenly spread
 * within a bucket; of what lies above all bounds, the last bound.
 * @param counts of each bucket of the metrics, and one more
 */
export function quantile(counts: readonly number[], share: number): number | null {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (below + count < share * all || count === 0) {
      below += count;
      continue;
    }
    const [from, to] = [bucketBounds[i - 1] ?? 0, bucketBounds[i] ?? bucketBounds.at(-1) ?? 0];
    return from + (to - from) * Math.min(1, (share * all - below) / count);
  }
  return null;
}
