// Verified tokens, so that the next request with the same token costs a look-up and no signature check.

/** Bounds: a token of 1 KB each makes about 1 MiB of keys. */
const entriesMax = 1024;
const charactersMax = 2 * 1024 * 1024;

/**
 * A bounded map from token text to what is known of it. Old entries go first, but one that was used since it
 * was looked at gets a second round (the clock algorithm): a hit then writes one flag and moves nothing.
 */
export class TokenCache<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  #characters = 0;

  get size(): number {
    return this.#entries.size;
  }

  get(token: string): Value | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  set(token: string, value: Value): void {
    if (token.length > charactersMax) return;
    this.delete(token);
    // A slice would keep the whole head of the request alive that it was cut from.
    const own = Buffer.from(token, 'latin1').toString('latin1');
    this.#entries.set(own, { value, used: false });
    this.#characters += own.length;
    while (this.#entries.size > entriesMax || this.#characters > charactersMax) this.#evict();
  }

  delete(token: string): void {
    if (this.#entries.delete(token)) this.#characters -= token.length;
  }

  #evict(): void {
    for (const [token, entry] of this.#entries) {
      this.#entries.delete(token);
      if (!entry.used) {
        this.#characters -= token.length;
        return;
      }
      entry.used = false;
      this.#entries.set(token, entry);
    }
  }
}

interface Entry<Value> {
  readonly value: Value;
  used: boolean;
}
