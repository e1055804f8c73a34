// How long to wait before the next try: doubling, with jitter, up to a limit.

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** 0 to 1: each wait is spread by this part of itself, up and down. */
  readonly jitter: number;
  /** 0 to 1, for tests. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The wait before the next try, ms; at most `maxMs * (1 + jitter)`. */
  next(): number {
    const { jitter, maxMs, random = Math.random } = this.#options;
    const baseMs = Math.min(this.#nextMs, maxMs);
    this.#nextMs = Math.min(this.#nextMs * 2, maxMs);
    return baseMs * (1 + jitter * (random() * 2 - 1));
  }

  /** After a success: the next wait is the first again. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
