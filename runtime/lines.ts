// Newline-delimited text out of a stream of bytes, with a limit on the length of a line.

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Splits chunks into lines. A line ends with LF; a CR before it belongs to the line (JSON ignores it). */
export class LineReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @param bytesMax a longer line is refused before it is held in memory */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of the unfinished line. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** The lines that `chunk` completes, decoded as UTF-8, empty ones left out. Throws LineTooLong. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      const stop = end === -1 ? chunk.length : end;
      if (this.#bytes + stop - start > this.#bytesMax) {
        this.#parts = [];
        this.#bytes = 0;
        throw new LineTooLong(`a line has more than ${this.#bytesMax} bytes`);
      }
      if (end === -1) break;
      const line = this.#finish(chunk.subarray(start, end));
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (start < chunk.length) {
      this.#parts.push(chunk.subarray(start));
      this.#bytes += chunk.length - start;
    }
  }

  #finish(last: Buffer): string {
    if (this.#parts.length === 0) return last.toString('utf8');
    this.#parts.push(last);
    const line = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }
}
