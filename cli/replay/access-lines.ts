// The JSON access log of a sidecar under replay: each connection's line, found by its two ends and its time.

/** A line, whatever else it has. */
export type AccessLine = Readonly<Record<string, unknown>>;

/** One connection as the client had it. */
export interface Ends {
  /** `127.0.1.2:40000`, the client's. */
  readonly from: string;
  readonly to: string;
  /** Date.now() before it was opened and after it was closed. */
  readonly openedAtMs: number;
  readonly closedAtMs: number;
}

interface Waiting {
  readonly ends: Ends;
  readonly take: (line: AccessLine) => void;
}

/** The sidecar's clock ticks by itself between looks at the system's. */
const clockToleranceMs = 100;

export class AccessLines {
  /** By both ends. The system may use a port again within milliseconds, so there may be several. */
  readonly #lines = new Map<string, AccessLine[]>();
  readonly #waiting = new Map<string, Waiting[]>();

  /** Takes a line of text. @returns false: it is none of the access log */
  take(text: string): boolean {
    const line = parse(text);
    if (line === null) return false;
    const key = keyOf(line['downstream_remote_address'], line['downstream_local_address']);
    const waiting = this.#waiting.get(key)?.find(({ ends }) => isOf(line, ends));
    if (waiting === undefined) {
      add(this.#lines, key, line);
    } else {
      // At once: the next line of a port that is used again is the next connection's.
      remove(this.#waiting, key, waiting);
      waiting.take(line);
    }
    return true;
  }

  /** The line of a connection; null when none comes within `timeoutMs`. */
  async of(ends: Ends, timeoutMs: number): Promise<AccessLine | null> {
    const key = keyOf(ends.from, ends.to);
    const known = this.#lines.get(key)?.find((line) => isOf(line, ends));
    if (known !== undefined) {
      remove(this.#lines, key, known);
      return known;
    }
    const { promise, resolve } = Promise.withResolvers<AccessLine | null>();
    const timer = setTimeout(() => resolve(null), timeoutMs);
    const waiting = { ends, take: resolve };
    add(this.#waiting, key, waiting);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      remove(this.#waiting, key, waiting);
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

function isOf(line: AccessLine, { openedAtMs, closedAtMs }: Ends): boolean {
  const startedAtMs = Date.parse(String(line['start_time']));
  return (
    startedAtMs >= openedAtMs - clockToleranceMs && startedAtMs <= closedAtMs + clockToleranceMs
  );
}

function add<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function remove<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const rest = lists.get(key)?.filter((one) => one !== item) ?? [];
  if (rest.length === 0) lists.delete(key);
  else lists.set(key, rest);
}
