// The bearer token of the calls: kept for a minute, forgotten when the server refuses it.

const keptMs = 60_000;

export class Bearer {
  readonly #read: () => Promise<string>;
  readonly #nowMs: () => number;
  #reading: { readonly token: Promise<string>; readonly atMs: number } | null = null;

  /** @param nowMs a clock that never jumps; for tests */
  constructor(read: () => Promise<string>, nowMs: () => number = () => performance.now()) {
    this.#read = read;
    this.#nowMs = nowMs;
  }

  /** Calls that come together share one read. */
  async token(): Promise<string> {
    const now = this.#nowMs();
    if (this.#reading === null || now - this.#reading.atMs >= keptMs) {
      this.#reading = { token: this.#read(), atMs: now };
    }
    const reading = this.#reading;
    try {
      return await reading.token;
    } catch (error) {
      if (this.#reading === reading) this.#reading = null;
      throw error;
    }
  }

  /** The server refused the token: the next call reads it anew. */
  forget(): void {
    this.#reading = null;
  }
}
