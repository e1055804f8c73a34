// The JSON access log of a sidecar under replay: each connection's line, found by its two ends.

/** A line, whatever else it has. */
export type AccessLine = Readonly<Record<string, unknown>>;

export class AccessLines {
  readonly #lines = new Map<string, AccessLine>();
  readonly #waiting = new Map<string, (line: AccessLine) => void>();

  /** Takes a line of text. @returns false: it is none of the access log */
  take(text: string): boolean {
    const line = parse(text);
    if (line === null) return false;
    const key = keyOf(line['downstream_remote_address'], line['downstream_local_address']);
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#lines.set(key, line);
    else waiting(line);
    return true;
  }

  /** The line of a connection; null when none comes within `timeoutMs`. @param from `127.0.1.2:40000` */
  async of(from: string, to: string, timeoutMs: number): Promise<AccessLine | null> {
    const key = keyOf(from, to);
    const known = this.#lines.get(key);
    this.#lines.delete(key);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<AccessLine | null>();
    const timer = setTimeout(() => resolve(null), timeoutMs);
    this.#waiting.set(key, resolve);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(key);
    }
  }
}

function parse(text: string): AccessLine | null {
  if (!text.startsWith('{"start_time"')) return null;
  try {
    return JSON.parse(text) as AccessLine;
  } catch {
    return null;
  }
}

function keyOf(from: unknown, to: unknown): string {
  return `${String(from)} ${String(to)}`;
}
