// What the rate limits in force have been used, for /limits: keys, and what became of requests.
import { all, type CompiledLimits } from '../limit/compile.ts';
import { nowMs } from '../limit/clock.ts';

export interface LimitUsage {
  /** `shop/per-client[0]`. */
  readonly limit: string;
  /** The limit's own name. */
  readonly name: string;
  /** As it is written: `tokenBucket`. */
  readonly algorithm: string;
  readonly scope: 'local' | 'shared';
  /** Keys that count at this moment; null: Redis has them. */
  readonly keys: number | null;
  /** Requests since it came into force as it is, those let through only because it is not enforced among them. */
  readonly allowed: number;
  readonly limited: number;
  /** It could not be asked. */
  readonly errors: number;
}

export function limitUsage(limits: CompiledLimits | null): LimitUsage[] {
  return all(limits).map(({ position, name, kind, scriptArguments, state }) => {
    const { table, counts } = state;
    return {
      limit: position,
      name: name.split('/')[2] ?? '',
      algorithm: kind,
      scope: scriptArguments === null ? 'local' : 'shared',
      keys: table === null ? null : table.used(nowMs()),
      allowed: counts.allowed + counts.wouldLimit,
      limited: counts.limited,
      errors: counts.failedOpen + counts.failedClosed,
    };
  });
}

/** Of several workers: each counts its own requests, all in the same keys. */
export function mergeLimits(workers: readonly (readonly LimitUsage[])[]): LimitUsage[] {
  const merged = new Map<string, LimitUsage>();
  for (const usage of workers.flat()) {
    const before = merged.get(usage.limit);
    merged.set(usage.limit, before === undefined ? usage : sum(before, usage));
  }
  return [...merged.values()];
}

function sum(one: LimitUsage, other: LimitUsage): LimitUsage {
  const { keys } = one;
  return {
    ...one,
    keys: keys === null || other.keys === null ? keys : Math.max(keys, other.keys),
    allowed: one.allowed + other.allowed,
    limited: one.limited + other.limited,
    errors: one.errors + other.errors,
  };
}
