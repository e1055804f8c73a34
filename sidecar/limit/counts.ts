// Algorithms that count: fixed windows and quotas of the calendar, and the weighted sliding window.
import { neverPinned, slack, taken, type Algorithm } from './algorithm.ts';
import { EvenPeriods, type Periods } from './periods.ts';

/** Cells: start of the period, requests in it. In each period at most `limit` are admitted. */
export class FixedWindow implements Algorithm {
  readonly stride = 2;
  readonly quota: number;
  readonly windowSeconds: number;
  readonly pinned = neverPinned;
  readonly #periods: Periods;

  /** @param windowMs for headers; a month has 30 days there */
  constructor(limit: number, windowMs: number, periods: Periods = new EvenPeriods(windowMs)) {
    this.quota = limit;
    this.windowSeconds = Math.max(1, Math.ceil(windowMs / 1000));
    this.#periods = periods;
  }

  take(cells: Float64Array, at: number, nowMs: number): boolean {
    const periods = this.#periods;
    periods.seek(nowMs);
    if (periods.startMs > (cells[at] ?? 0)) {
      cells[at] = periods.startMs;
      cells[at + 1] = 0;
    }
    const count = cells[at + 1] ?? 0;
    const admitted = count < this.quota;
    if (admitted) cells[at + 1] = count + 1;
    taken.remaining = this.quota - count - (admitted ? 1 : 0);
    taken.resetMs = periods.endMs - nowMs;
    taken.retryMs = admitted ? 0 : taken.resetMs;
    taken.delayMs = 0;
    return admitted;
  }

  refund(cells: Float64Array, at: number, takenAtMs: number): void {
    // A later period has begun: what was taken went with the one before.
    if (takenAtMs < (cells[at] ?? 0)) return;
    cells[at + 1] = Math.max(0, (cells[at + 1] ?? 0) - 1);
  }

  idle(cells: Float64Array, at: number, nowMs: number): boolean {
    this.#periods.seek(nowMs);
    return (cells[at] ?? 0) < this.#periods.startMs || cells[at + 1] === 0;
  }
}

/**
 * Cells: start of the window, requests in it, requests in the one before. The one before is taken to be spread evenly:
 * where it was not, more than `limit` can fall into some window, and never more than twice as many.
 */
export class SlidingCounter implements Algorithm {
  readonly stride = 3;
  readonly quota: number;
  readonly windowSeconds: number;
  readonly pinned = neverPinned;
  readonly #windowMs: number;

  constructor(limit: number, windowMs: number) {
    this.quota = limit;
    this.windowSeconds = Math.max(1, Math.ceil(windowMs / 1000));
    this.#windowMs = windowMs;
  }

  take(cells: Float64Array, at: number, nowMs: number): boolean {
    this.#roll(cells, at, nowMs);
    const length = this.#windowMs;
    const elapsed = Math.min(length, Math.max(0, nowMs - (cells[at] ?? 0)));
    const count = cells[at + 1] ?? 0;
    const before = cells[at + 2] ?? 0;
    const used = before * (1 - elapsed / length) + count;
    const admitted = used + 1 <= this.quota + slack;
    if (admitted) cells[at + 1] = count + 1;
    taken.remaining = Math.max(0, Math.floor(this.quota - used - (admitted ? 1 : 0) + slack));
    taken.resetMs = 2 * length - elapsed;
    taken.retryMs = admitted ? 0 : this.#retryMs(count, before, elapsed);
    taken.delayMs = 0;
    return admitted;
  }

  refund(cells: Float64Array, at: number, takenAtMs: number): void {
    const of = takenAtMs >= (cells[at] ?? 0) ? at + 1 : at + 2;
    cells[of] = Math.max(0, (cells[of] ?? 0) - 1);
  }

  idle(cells: Float64Array, at: number, nowMs: number): boolean {
    const ageMs = nowMs - (cells[at] ?? 0);
    return ageMs >= 2 * this.#windowMs || (cells[at + 1] === 0 && ageMs >= this.#windowMs);
  }

  #roll(cells: Float64Array, at: number, nowMs: number): void {
    const length = this.#windowMs;
    const start = Math.floor(nowMs / length) * length;
    const known = cells[at] ?? 0;
    if (start <= known) return;
    // Rounded, for windows of fractions of a millisecond.
    const next = Math.round((start - known) / length) === 1;
    cells[at + 2] = next ? (cells[at + 1] ?? 0) : 0;
    cells[at + 1] = 0;
    cells[at] = start;
  }

  #retryMs(count: number, before: number, elapsed: number): number {
    const length = this.#windowMs;
    const room = this.quota - 1 - count;
    if (room >= 0) return Math.max(0, (1 - room / before) * length - elapsed);
    return length - elapsed + Math.max(0, 1 - (this.quota - 1) / count) * length;
  }
}
