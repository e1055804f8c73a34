// What callers saw of a cluster in the last ten seconds, as breakers ask for it.
import type { BreakerMetric } from '#api/traffic/breaker-expression.ts';

import type { Outcome } from '../outcome.ts';
import { CountWindow } from './window.ts';

/** Statuses 0 to 999; what had no response counts as the 503 that its caller got. */
const statusCells = 1000;
/** Bounds of latencies grow by 5 %, from a tenth of a millisecond on: so exact is a quantile. */
const growth = Math.log(1.05);
const latencyFromMs = 0.1;
const latencyCells = 320;

export class Observed {
  readonly #statuses = new CountWindow(statusCells);
  readonly #latencies = new CountWindow(latencyCells);
  /** Failed on the network, and all. */
  readonly #network = new CountWindow(2);

  note(outcome: Outcome, nowMs: number): void {
    const { fault, latencyMs } = outcome;
    const answered = fault === 'none';
    if (answered && outcome.status === 0) return;
    const status = answered ? outcome.status : 503;
    this.#statuses.add(Math.min(status, statusCells - 1), nowMs);
    this.#latencies.add(cellOf(latencyMs), nowMs);
    // As in Traefik: also what a gateway beyond says of its own network.
    if (!answered || status === 502 || status === 504) this.#network.add(0, nowMs);
    this.#network.add(1, nowMs);
  }

  /** NaN where there is nothing to say. */
  measure(metric: BreakerMetric, nowMs: number): number {
    switch (metric.kind) {
      case 'network-errors':
        this.#network.advance(nowMs);
        return this.#network.total[0]! / this.#network.total[1]!;
      case 'statuses': {
        this.#statuses.advance(nowMs);
        const { total } = this.#statuses;
        return sum(total, metric.from, metric.to) / sum(total, metric.ofFrom, metric.ofTo);
      }
      // The latency at a quantile.
      default:
        this.#latencies.advance(nowMs);
        return quantile(this.#latencies.total, metric.quantile);
    }
  }

  clear(): void {
    this.#statuses.clear();
    this.#latencies.clear();
    this.#network.clear();
  }
}

function cellOf(latencyMs: number): number {
  if (latencyMs <= latencyFromMs) return 0;
  const cell = Math.ceil(Math.log(latencyMs / latencyFromMs) / growth);
  return Math.min(cell, latencyCells - 1);
}

function sum(counts: Uint32Array, from: number, to: number): number {
  let all = 0;
  for (let i = from; i < to && i < counts.length; i += 1) all += counts[i]!;
  return all;
}

/** The upper bound of the cell that the quantile falls into. */
function quantile(counts: Uint32Array, percent: number): number {
  const wanted = (sum(counts, 0, counts.length) * percent) / 100;
  if (wanted === 0) return percent === 0 ? 0 : NaN;
  let passed = 0;
  for (let cell = 0; cell < counts.length; cell += 1) {
    passed += counts[cell]!;
    if (passed >= wanted) return latencyFromMs * Math.exp(growth * cell);
  }
  return NaN;
}
