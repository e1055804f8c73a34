// Shares and quantiles of calls, for tables.
import { bucketBounds } from '#sidecar/telemetry/series.ts';

import type { Cell } from '../table.ts';

interface CallCounts {
  readonly requests: number;
  readonly failures: number;
  readonly refusals: number;
}

/** The share of calls that neither failed nor were refused, 0 to 1; null without any. */
export function successShare({ requests, failures, refusals }: CallCounts): number | null {
  return requests === 0 ? null : Math.max(0, requests - failures - refusals) / requests;
}

/** `98.50%`; `-` without any. */
export function successCell(counts: CallCounts): Cell {
  const share = successShare(counts);
  if (share === null) return { text: '-', colour: 'dim' };
  // What is not all is never shown as all.
  const percent = Math.floor(share * 10_000) / 100;
  return { text: `${percent.toFixed(2)}%`, colour: share === 1 ? 'green' : 'yellow' };
}

/**
 * The duration that a share of calls stayed below, in ms: within its bucket durations count as spread evenly. What lies
 * above the last bound counts as that. Null without any.
 * @param counts one for each bound of the metrics, and one for what lies above
 */
export function quantileMs(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const wanted = share * total;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      const lower = bucketBounds[i - 1] ?? 0;
      const upper = bucketBounds[i] ?? lower;
      return i >= bucketBounds.length
        ? lower
        : lower + ((wanted - below) / count) * (upper - lower);
    }
    below += count;
  }
  return bucketBounds.at(-1) ?? null;
}
