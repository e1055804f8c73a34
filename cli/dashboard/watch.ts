// Something that is read again and again, but only while somebody looks at it.

export interface WatchOptions<T> {
  readonly read: () => Promise<T>;
  /** Between two readings; they are further apart where reading takes long. */
  readonly everyMs: number;
  /** Nobody looked for so long: nothing is read any more. */
  readonly idleMs: number;
  readonly now: () => number;
}

export interface Reading<T> {
  /** null: there has been none. */
  readonly value: T | null;
  /** When that was read, in ms since 1970. */
  readonly atMs: number;
  /** Why the last attempt failed; '' when it did not. */
  readonly error: string;
}

/** Reading takes at most this share of the time: asking a large cluster must not become its load. */
const busyShare = 0.25;

export class Watch<T> {
  readonly #options: WatchOptions<T>;
  #last: Reading<T> = { value: null, atMs: 0, error: '' };
  #under: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lookedMs = 0;
  #tookMs = 0;
  #closed = false;

  constructor(options: WatchOptions<T>) {
    this.#options = options;
  }

  /** What was read last; waits where that is nothing, or of long ago. Never rejects. */
  async look(): Promise<Reading<T>> {
    const { now } = this.#options;
    this.#lookedMs = now();
    if (this.#last.atMs === 0 || now() - this.#last.atMs > 2 * this.#paceMs()) await this.#read();
    if (this.#timer === null && !this.#closed) this.#schedule();
    return this.#last;
  }

  /** Somebody has looked lately. */
  get isWatched(): boolean {
    return this.#options.now() - this.#lookedMs < this.#options.idleMs;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #paceMs(): number {
    return Math.max(this.#options.everyMs, this.#tookMs / busyShare);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!this.isWatched) return;
      void this.#goOn();
    }, this.#paceMs());
    this.#timer.unref();
  }

  async #goOn(): Promise<void> {
    await this.#read();
    if (!this.#closed && this.#timer === null) this.#schedule();
  }

  /** Whoever asks meanwhile waits for the same answer. */
  #read(): Promise<void> {
    this.#under ??= this.#readOnce().finally(() => {
      this.#under = null;
    });
    return this.#under;
  }

  async #readOnce(): Promise<void> {
    const { now, read } = this.#options;
    const begunMs = now();
    try {
      const value = await read();
      this.#last = { value, atMs: now(), error: '' };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#last = { ...this.#last, error: message };
    }
    this.#tookMs = now() - begunMs;
  }
}
