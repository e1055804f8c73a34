// Records on their way to one reader: a bounded queue, whose reader is told how many were dropped because it was slow.

export interface Taken {
  /** JSON, without line ends. */
  readonly lines: readonly string[];
  /** Since the last time. */
  readonly dropped: number;
}

/** Whichever comes first. */
const recordsMax = 1000;
const charsMax = 4 * 1024 * 1024;

export class TapQueue {
  #lines: string[] = [];
  #chars = 0;
  #dropped = 0;
  #over = false;
  #wake: (() => void) | null = null;

  push(line: string): void {
    if (this.#over) return;
    if (this.#lines.length >= recordsMax || this.#chars + line.length > charsMax) {
      this.#dropped += 1;
    } else {
      this.#lines.push(line);
      this.#chars += line.length;
    }
    this.#wake?.();
  }

  /** Dropped before they came here. */
  noteDropped(count: number): void {
    this.#dropped += count;
    if (count > 0) this.#wake?.();
  }

  /** Waits for something, for so long at most. Null: it is over, and there is nothing left. */
  async take(waitMs = Infinity): Promise<Taken | null> {
    if (this.#isEmpty && !this.#over) await this.#wait(waitMs);
    if (this.#isEmpty && this.#over) return null;
    const taken = { lines: this.#lines, dropped: this.#dropped };
    this.#lines = [];
    this.#chars = 0;
    this.#dropped = 0;
    return taken;
  }

  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  get #isEmpty(): boolean {
    return this.#lines.length === 0 && this.#dropped === 0;
  }

  async #wait(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = waitMs === Infinity ? undefined : setTimeout(resolve, waitMs);
    // What one turn of the event loop brings goes out together.
    this.#wake = () => void setImmediate(resolve);
    await promise;
    this.#wake = null;
    clearTimeout(timer);
  }
}
