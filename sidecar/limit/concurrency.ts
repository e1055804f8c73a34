// How many requests are under way: the only limit whose count goes down again.
import { taken, type Algorithm } from './algorithm.ts';

/** A cell: requests under way. */
export class Concurrency implements Algorithm {
  readonly stride = 1;
  readonly quota: number;
  readonly windowSeconds = 0;

  constructor(limit: number) {
    this.quota = limit;
  }

  take(cells: Float64Array, at: number): boolean {
    const count = cells[at] ?? 0;
    const admitted = count < this.quota;
    if (admitted) cells[at] = count + 1;
    taken.remaining = this.quota - count - (admitted ? 1 : 0);
    taken.resetMs = 0;
    taken.retryMs = admitted ? 0 : 1000;
    taken.delayMs = 0;
    return admitted;
  }

  refund(cells: Float64Array, at: number): void {
    cells[at] = Math.max(0, (cells[at] ?? 0) - 1);
  }

  idle(cells: Float64Array, at: number): boolean {
    return cells[at] === 0;
  }

  pinned(cells: Float64Array, at: number): boolean {
    return cells[at] !== 0;
  }
}
