// How long a decision takes with 10 to 10,000 policies on the workload: `node test/bench/decide.ts`.
import { decide } from '#policy/decide.ts';

import { compileMixed, mixedCalls } from './mixed-policies.ts';

export interface DecideFigures {
  readonly policies: number;
  readonly compileMs: number;
  readonly medianUs: number;
  readonly p99Us: number;
  /** Heap that a decision leaves behind; what is below 1 is the measurement's own. */
  readonly bytes: number;
  /** Of the calls, for a sign that the work was done. */
  readonly allowedShare: number;
}

const counts = [10, 100, 1000, 10_000];
/** A batch is timed as one, as the clock is too coarse for one decision. */
const batch = 10;
const batches = 20_000;

/** Measures each size; the budget is 5 µs at 1,000 policies. */
export function measureDecide(): DecideFigures[] {
  // The first is measured again, since it warms the code up for the others.
  return [counts[0] ?? 10, ...counts].map(measure).slice(1);
}

export function main(): void {
  const rows = measureDecide().map((row) => ({
    policies: row.policies,
    'compile ms': row.compileMs.toFixed(1),
    'median µs': row.medianUs.toFixed(2),
    'p99 µs': row.p99Us.toFixed(2),
    'bytes / decision': row.bytes.toFixed(1),
    'allowed %': (row.allowedShare * 100).toFixed(0),
  }));
  console.table(rows);
}

function measure(policies: number): DecideFigures {
  const start = performance.now();
  const { http } = compileMixed(policies);
  const compileMs = performance.now() - start;
  const calls = mixedCalls(policies, 4000);
  let allowed = 0;
  for (const { connection, request } of calls) {
    if (decide(http, connection, request).allowed) allowed++;
  }
  const times = new Float64Array(batches);
  const heapBefore = process.memoryUsage().heapUsed;
  let next = 0;
  for (let i = 0; i < batches; i++) {
    const from = performance.now();
    for (let j = 0; j < batch; j++) {
      const call = calls[next++ % calls.length];
      if (call !== undefined) decide(http, call.connection, call.request);
    }
    times[i] = ((performance.now() - from) * 1000) / batch;
  }
  const bytes = (process.memoryUsage().heapUsed - heapBefore) / (batch * batches);
  times.sort();
  return {
    policies,
    compileMs,
    medianUs: times[batches >> 1] ?? 0,
    p99Us: times[Math.floor(batches * 0.99)] ?? 0,
    bytes,
    allowedShare: allowed / calls.length,
  };
}

if (import.meta.main) main();
