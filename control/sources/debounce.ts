// Many events close together become one call.

export interface DebounceOptions {
  /** The call comes when nothing happened for so long … */
  readonly quietMs: number;
  /** … or so long after the first event, if it never gets quiet. */
  readonly waitMaxMs: number;
  /** @param firstAtMs Date.now() of the first event since the last call */
  readonly call: (firstAtMs: number) => void;
}

export class Debounce {
  readonly #options: DebounceOptions;
  #firstAtMs: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DebounceOptions) {
    this.#options = options;
  }

  /** Something happened. */
  poke(): void {
    const now = Date.now();
    this.#firstAtMs ??= now;
    // A loop that was busy for longer than the wait may come to this late.
    const leftMs = Math.max(0, this.#firstAtMs + this.#options.waitMaxMs - now);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fire(), Math.min(this.#options.quietMs, leftMs));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#firstAtMs = null;
  }

  #fire(): void {
    const firstAtMs = this.#firstAtMs ?? Date.now();
    this.stop();
    this.#options.call(firstAtMs);
  }
}
