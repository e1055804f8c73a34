// The exact sliding window: the times of the last requests that were admitted, in a ring.
import { neverPinned, taken, type Algorithm } from './algorithm.ts';

/** Cells: place of the next time, then `limit` times. In any window at most `limit` are admitted. */
export class ExactWindow implements Algorithm {
  readonly stride: number;
  readonly quota: number;
  readonly windowSeconds: number;
  readonly pinned = neverPinned;
  readonly #windowMs: number;

  constructor(limit: number, windowMs: number) {
    this.stride = limit + 1;
    this.quota = limit;
    this.windowSeconds = Math.max(1, Math.ceil(windowMs / 1000));
    this.#windowMs = windowMs;
  }

  take(cells: Float64Array, at: number, nowMs: number): boolean {
    const next = cells[at] ?? 0;
    const oldest = cells[at + 1 + next] ?? 0;
    const admitted = nowMs - oldest >= this.#windowMs;
    if (admitted) {
      // A clock that stepped back must not put times out of order.
      cells[at + 1 + next] = Math.max(nowMs, this.#newest(cells, at));
      cells[at] = next + 1 === this.quota ? 0 : next + 1;
    }
    const count = this.#countSince(cells, at, nowMs - this.#windowMs);
    taken.remaining = this.quota - count;
    taken.resetMs = Math.max(0, this.#newest(cells, at) + this.#windowMs - nowMs);
    taken.retryMs = admitted ? 0 : oldest + this.#windowMs - nowMs;
    taken.delayMs = 0;
    return admitted;
  }

  /** Others may have been admitted since: their times move up. */
  refund(cells: Float64Array, at: number, takenAtMs: number): void {
    const end = (cells[at] ?? 0) + this.quota - 1;
    let place = end;
    while (place > end - this.quota && this.#time(cells, at, place) > takenAtMs) place--;
    if (this.#time(cells, at, place) !== takenAtMs) return;
    for (; place < end; place++) {
      cells[at + 1 + (place % this.quota)] = this.#time(cells, at, place + 1);
    }
    cells[at + 1 + (end % this.quota)] = 0;
    cells[at] = end % this.quota;
  }

  idle(cells: Float64Array, at: number, nowMs: number): boolean {
    return nowMs - this.#newest(cells, at) >= this.#windowMs;
  }

  #newest(cells: Float64Array, at: number): number {
    return this.#time(cells, at, (cells[at] ?? 0) + this.quota - 1);
  }

  /** Times after one, by halves: from the newest back they only become older. */
  #countSince(cells: Float64Array, at: number, sinceMs: number): number {
    const newest = (cells[at] ?? 0) + 2 * this.quota - 1;
    let low = 0;
    let high = this.quota;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#time(cells, at, newest - middle) > sinceMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #time(cells: Float64Array, at: number, place: number): number {
    return cells[at + 1 + (place % this.quota)] ?? 0;
  }
}
