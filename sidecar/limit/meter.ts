// Token bucket and leaky bucket are one meter: it fills with each request and drains at a rate (GCRA).
import { neverPinned, slack, taken, type Algorithm } from './algorithm.ts';

export interface MeterOptions {
  /** Requests that fit at once, at least 1. */
  readonly capacity: number;
  readonly rate: number;
  readonly perMs: number;
  /** Requests wait until all before them have drained. */
  readonly delay: boolean;
}

/** Nobody is made to wait for longer; such a request is refused. */
export const delayMaxMs = 30_000;

/** Cells: fill, and when it was so. In any time t at most capacity + rate x t are admitted. */
export class Meter implements Algorithm {
  readonly stride = 2;
  readonly quota: number;
  readonly windowSeconds: number;
  readonly pinned = neverPinned;
  readonly #capacity: number;
  readonly #perMs: number;
  readonly #delay: boolean;

  constructor({ capacity, rate, perMs, delay }: MeterOptions) {
    const wait = delay ? Math.floor((delayMaxMs * rate) / perMs) + 1 : capacity;
    this.#capacity = Math.min(capacity, wait);
    this.#perMs = rate / perMs;
    this.#delay = delay;
    this.quota = this.#capacity;
    this.windowSeconds = Math.max(1, Math.ceil(this.#capacity / this.#perMs / 1000 - slack));
  }

  take(cells: Float64Array, at: number, nowMs: number): boolean {
    const before = this.#fill(cells, at, nowMs);
    const room = this.#capacity - before;
    const admitted = room >= 1 - slack;
    const fill = admitted ? before + 1 : before;
    cells[at] = fill;
    cells[at + 1] = Math.max(nowMs, cells[at + 1] ?? 0);
    taken.remaining = Math.max(0, Math.floor(this.#capacity - fill + slack));
    taken.resetMs = fill / this.#perMs;
    taken.retryMs = admitted ? 0 : (1 - room) / this.#perMs;
    taken.delayMs = admitted && this.#delay ? before / this.#perMs : 0;
    return admitted;
  }

  refund(cells: Float64Array, at: number): void {
    cells[at] = Math.max(0, (cells[at] ?? 0) - 1);
  }

  idle(cells: Float64Array, at: number, nowMs: number): boolean {
    return this.#fill(cells, at, nowMs) === 0;
  }

  #fill(cells: Float64Array, at: number, nowMs: number): number {
    const sinceMs = Math.max(0, nowMs - (cells[at + 1] ?? 0));
    return Math.max(0, (cells[at] ?? 0) - sinceMs * this.#perMs);
  }
}
