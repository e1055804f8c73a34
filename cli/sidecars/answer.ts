// What the admin endpoint of a sidecar answers, read the same way however it was reached.

/** It answered, and not with 200. */
export class RefusedAnswer extends Error {
  override readonly name = 'RefusedAnswer';
  readonly status: number;
  /** It does not know the path: a sidecar of an older version. */
  readonly unknownPath: boolean;

  /** @param from whom: `shop/web-0` */
  constructor(from: string, status: number, body: string) {
    super(`the sidecar of ${from} answers ${status}: ${sentenceOf(body)}`);
    this.status = status;
    this.unknownPath = status === 404 && /^no \/\S* here/.test(body);
  }
}

/** Of an answer, at most. */
export const answerBytesMax = 32 * 1024 * 1024;
/** How long an answer may take. */
export const answerTimeoutMs = 15_000;
const lineCharsMax = 4 * 1024 * 1024;

/** @throws Error that names who said what is no JSON */
export function parseAnswer(from: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Error(`the sidecar of ${from} answers what is no JSON: ${text.slice(0, 100)}`);
  }
}

/** Cuts text into lines of JSON as it comes; a line that is none is left out. */
export class JsonLines {
  readonly #onLine: (value: unknown) => void;
  #rest = '';

  constructor(onLine: (value: unknown) => void) {
    this.#onLine = onLine;
  }

  /** @throws Error for a line longer than 4 Mi characters */
  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > lineCharsMax) throw new Error('a line of the sidecar does not end');
    for (const line of lines) this.#line(line);
  }

  /** What came last may lack its line end. */
  end(): void {
    this.#line(this.#rest);
    this.#rest = '';
  }

  #line(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return;
    }
    this.#onLine(value);
  }
}

/** `{"error":"…"}`, or the first line of text. */
function sentenceOf(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null && 'error' in value) return String(value.error);
  } catch {
    // It is text.
  }
  return body.trim().split('\n')[0]?.slice(0, 300) ?? '';
}
