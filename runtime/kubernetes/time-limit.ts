// A limit of time for one call, whose caller may end it earlier.
import type { Clock, Timer } from '../clock.ts';

/** Aborts its signal when the time passes or the caller's signal says so, and remembers which. */
export class TimeLimit {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #outer: AbortSignal | null;
  readonly #abort = (): void => this.#controller.abort();
  #timer: Timer | null = null;
  /** Why it ended the call; null: it did not. */
  passed: string | null = null;

  constructor(clock: Clock, outer: AbortSignal | null = null) {
    this.#clock = clock;
    this.#outer = outer;
    if (outer?.aborted === true) this.#abort();
    outer?.addEventListener('abort', this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts the time anew. @param why what to tell when it passes */
  set(ms: number, why: string): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(ms, () => {
      this.passed = why;
      this.#abort();
    });
  }

  end(): void {
    this.#timer?.cancel();
    this.#outer?.removeEventListener('abort', this.#abort);
  }
}
