// Keys are told apart by HalfSipHash-2-4 with a secret: callers cannot make up keys that meet in one place.

/** Reads texts one after the other. Nothing is allocated. */
export class KeyHash {
  /** The two words of the last `end`; never both 0. */
  readonly words = new Uint32Array(2);
  readonly #state = new Int32Array(4);

  begin(k0: number, k1: number): void {
    const state = this.#state;
    state[0] = k0;
    state[1] = k1 ^ 0xee;
    state[2] = k0 ^ 0x6c796765;
    state[3] = k1 ^ 0x74656462;
  }

  /** Adds a text with its length, so that `a`, `bc` is not `ab`, `c`. */
  text(text: string): void {
    const { length } = text;
    const even = length & ~1;
    for (let i = 0; i < even; i += 2) {
      this.#word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
    }
    if (even < length) this.#word(text.charCodeAt(even));
    this.#word(length | 0x8000_0000);
  }

  end(): void {
    const state = this.#state;
    const { words } = this;
    state[2] = (state[2] ?? 0) ^ 0xee;
    this.#rounds(4);
    words[0] = (state[1] ?? 0) ^ (state[3] ?? 0);
    state[1] = (state[1] ?? 0) ^ 0xdd;
    this.#rounds(4);
    words[1] = (state[1] ?? 0) ^ (state[3] ?? 0);
    if (words[0] === 0 && words[1] === 0) words[1] = 1;
  }

  #word(word: number): void {
    const state = this.#state;
    state[3] = (state[3] ?? 0) ^ word;
    this.#rounds(2);
    state[0] = (state[0] ?? 0) ^ word;
  }

  #rounds(count: number): void {
    const state = this.#state;
    let v0 = state[0] ?? 0;
    let v1 = state[1] ?? 0;
    let v2 = state[2] ?? 0;
    let v3 = state[3] ?? 0;
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    state[0] = v0;
    state[1] = v1;
    state[2] = v2;
    state[3] = v3;
  }
}
