// A clock for tests: time passes only when told, timers fire in order.
import type { Clock, Timer } from '#runtime/clock.ts';

interface Pending {
  readonly atMs: number;
  readonly call: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  readonly #pending = new Set<Pending>();

  constructor(startMs = Date.now()) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  get timers(): number {
    return this.#pending.size;
  }

  after(delayMs: number, call: () => void): Timer {
    const pending = { atMs: this.#nowMs + delayMs, call };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Lets time pass; between timers everything that waits on promises runs. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const due = [...this.#pending].filter((pending) => pending.atMs <= endMs);
      const first = due.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (first === undefined) break;
      this.#pending.delete(first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.call();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** As when a laptop slept: the wall clock jumps, timers do not fire early. */
  jump(ms: number): void {
    this.#nowMs += ms;
    const late = [...this.#pending];
    this.#pending.clear();
    for (const pending of late) this.#pending.add({ ...pending, atMs: pending.atMs + ms });
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
