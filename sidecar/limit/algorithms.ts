// The algorithm that a limit names, as this process runs it and as Redis does.
import type { Limit } from '#api/kinds/rate-limit.ts';

import { durationMs } from '../duration.ts';
import type { Algorithm } from './algorithm.ts';
import { Concurrency } from './concurrency.ts';
import { FixedWindow, SlidingCounter } from './counts.ts';
import { ExactWindow } from './exact-window.ts';
import { leaseMs } from './leases.ts';
import { Meter } from './meter.ts';
import { CalendarPeriods, type CalendarUnit } from './periods.ts';

/** What script.ts is told of a limit: kind, then four numbers. */
export type ScriptArguments = readonly [kind: string, a: number, b: number, c: number, d: number];

const dayMs = 86_400_000;
const unitMs: Readonly<Record<CalendarUnit, number>> = {
  day: dayMs,
  week: 7 * dayMs,
  month: 30 * dayMs,
  year: 365 * dayMs,
};

export function algorithmOf(limit: Limit): Algorithm {
  const { tokenBucket, leakyBucket, fixedWindow, slidingWindow, concurrency, quota } = limit;
  if (tokenBucket !== undefined) {
    const { rate, per, burst = rate } = tokenBucket;
    return new Meter({ rate, perMs: msOf(per), capacity: burst, delay: false });
  }
  if (leakyBucket !== undefined) {
    const { rate, per, burst, delay } = leakyBucket;
    return new Meter({ rate, perMs: msOf(per), capacity: burst + 1, delay });
  }
  if (fixedWindow !== undefined) {
    return new FixedWindow(fixedWindow.limit, msOf(fixedWindow.window));
  }
  if (slidingWindow !== undefined) {
    const { limit: most, window, precision } = slidingWindow;
    return precision === 'exact'
      ? new ExactWindow(most, msOf(window))
      : new SlidingCounter(most, msOf(window));
  }
  if (quota !== undefined) {
    return new FixedWindow(quota.limit, unitMs[quota.per], new CalendarPeriods(quota.per));
  }
  if (concurrency !== undefined) return new Concurrency(concurrency.limit);
  throw new Error(`the limit ${limit.name} has no algorithm`);
}

const kinds = [
  'tokenBucket',
  'leakyBucket',
  'fixedWindow',
  'slidingWindow',
  'quota',
  'concurrency',
] as const;

/** The algorithm as it is written. */
export function kindOf(limit: Limit): string {
  return kinds.find((kind) => limit[kind] !== undefined) ?? '';
}

/** Null: it is not one that Redis counts. */
export function scriptArgumentsOf(limit: Limit): ((nowMs: number) => ScriptArguments) | null {
  const { tokenBucket, leakyBucket, fixedWindow, slidingWindow, concurrency, quota } = limit;
  if (tokenBucket !== undefined || leakyBucket !== undefined) {
    const { rate, per } = tokenBucket ?? leakyBucket ?? { rate: 1, per: '1s' };
    const capacity = algorithmOf(limit).quota;
    const delay = leakyBucket?.delay === true ? 1 : 0;
    return constant(['m', capacity, rate / msOf(per), delay, 0]);
  }
  if (fixedWindow !== undefined) {
    return constant(['f', fixedWindow.limit, msOf(fixedWindow.window), 0, 0]);
  }
  if (slidingWindow !== undefined) {
    const { limit: most, window, precision } = slidingWindow;
    return constant([precision === 'exact' ? 'e' : 'c', most, msOf(window), 0, 0]);
  }
  // The last argument is each request's own.
  if (concurrency !== undefined) return constant(['l', concurrency.limit, leaseMs, 0, 0]);
  if (quota === undefined) return null;
  const periods = new CalendarPeriods(quota.per);
  // Near midnight the clock of Redis may be on the other side: it is told both periods.
  return (nowMs) => {
    periods.seek(nowMs - skewMs);
    const { startMs, endMs } = periods;
    periods.seek(endMs);
    return ['q', quota.limit, startMs, endMs, periods.endMs];
  };
}

/** How far the clock of Redis may be behind. */
const skewMs = 3_600_000;

function constant(list: ScriptArguments): () => ScriptArguments {
  return () => list;
}

function msOf(text: string): number {
  return Math.max(1, durationMs(text, 1000));
}
