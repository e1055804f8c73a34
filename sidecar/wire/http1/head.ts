// Parses the lines of a request or response head in one pass, resuming wherever the bytes ended.
import { COLON, COMMA, CR, FIELD, FOLD, LF, SPACE, TAB } from '../bytes.ts';

import type { ParseLimits } from './limits.ts';
import {
  HeaderLines,
  lineEnd,
  nameEnd,
  nameStart,
  signature,
  stride,
  valueEnd,
  valueStart,
} from '../lines.ts';
import { knownAt, signatureAt } from '../names.ts';

export type HeadState = 'more' | 'done' | 'malformed' | 'too-large';

/** What the parser waits for. */
const atStart = 0;
const inName = 1;
const beforeValue = 2;
const inValue = 3;
const atLineFeed = 4;
const atLastLineFeed = 5;

export abstract class Head extends HeaderLines {
  /** First byte of the start line. */
  start = 0;
  /** First byte of the body. */
  end = 0;
  /** End of the bytes that `buffer` holds: those from `end` on are the body's or the next head's. */
  limit = 0;
  minor = 1;

  /** First byte after the start line. */
  protected linesStart = 0;
  /** First byte not looked at yet. */
  protected scanned = 0;
  protected readonly limits: ParseLimits;
  private phase = atStart;
  /** Our own buffer, filled by several reads; null while all came in one. */
  private gathered: Buffer | null = null;

  constructor(limits: ParseLimits) {
    super();
    this.limits = limits;
  }

  /** A head has begun and is not complete. */
  get begun(): boolean {
    return this.gathered !== null;
  }

  /**
   * Takes `chunk` from `from` to `to`. When done, `buffer`, `end` and `limit` say where the body is;
   * `buffer` is `chunk` itself if the head came whole. When 'more', nothing refers to `chunk`.
   */
  feed(chunk: Buffer, from: number, to: number): HeadState {
    if (this.gathered === null) this.begin(chunk, from, to);
    else this.gather(chunk, from, to);
    const state = this.scan();
    if (state === 'done') {
      this.gathered = null;
      return this.end - this.start > this.limits.headBytesMax ? 'too-large' : this.interpret();
    }
    if (state !== 'more') return state;
    if (this.limit - this.start > this.limits.headBytesMax) return 'too-large';
    if (this.gathered === null) this.gather(chunk, this.start, this.start);
    return state;
  }

  /** Forgets the head and lets go of its memory. */
  clear(): void {
    this.clearLines();
    this.releaseBuffer();
    this.gathered = null;
    this.phase = atStart;
  }

  /** Reads the start line from `scanned`, sets `scanned` after it; resumable. */
  protected abstract startLine(): HeadState;
  /** Clears what `note` and `interpret` set. */
  protected abstract reset(): void;
  /** A header that framing or forwarding depends on. @returns false: malformed */
  protected abstract note(id: number, at: number): boolean;
  /** All lines are there. */
  protected abstract interpret(): HeadState;

  private scan(): HeadState {
    if (this.phase === atStart) {
      const state = this.startLine();
      if (state !== 'done') return state;
      this.linesStart = this.scanned;
      this.index[nameStart] = this.scanned;
      this.phase = inName;
    }
    return this.scanLines();
  }

  private scanLines(): HeadState {
    const { buffer, limit } = this;
    let index = this.index;
    let i = this.scanned;
    let at = this.count * stride;
    let phase = this.phase;
    for (;;) {
      if (phase === inName) {
        while (i < limit && FOLD[buffer[i]!] !== 0) i++;
        if (i === limit) return this.stop(i, inName);
        if (i === index[at + nameStart]) {
          if (buffer[i] !== CR) return 'malformed';
          phase = atLastLineFeed;
          i++;
        } else {
          if (buffer[i] !== COLON) return 'malformed';
          index[at + nameEnd] = i++;
          phase = beforeValue;
        }
      }
      if (phase === beforeValue) {
        while (i < limit && (buffer[i] === SPACE || buffer[i] === TAB)) i++;
        if (i === limit) return this.stop(i, beforeValue);
        index[at + valueStart] = i;
        phase = inValue;
      }
      if (phase === inValue) {
        while (i < limit && FIELD[buffer[i]!] === 1) i++;
        if (i === limit) return this.stop(i, inValue);
        if (buffer[i] !== CR) return 'malformed';
        phase = atLineFeed;
        i++;
      }
      if (i === limit) return this.stop(i, phase);
      if (buffer[i++] !== LF) return 'malformed';
      if (phase === atLastLineFeed) {
        this.end = i;
        return 'done';
      }
      if (!this.lineDone(at, i)) return 'malformed';
      if (this.count > this.limits.headerCountMax) return 'too-large';
      at += stride;
      if (at === index.length) {
        this.grow();
        index = this.index;
      }
      index[at + nameStart] = i;
      phase = inName;
    }
  }

  private stop(scanned: number, phase: number): HeadState {
    this.scanned = scanned;
    this.phase = phase;
    return 'more';
  }

  private lineDone(at: number, end: number): boolean {
    const { buffer, index } = this;
    const start = index[at + valueStart]!;
    let last = end - 2;
    while (last > start && (buffer[last - 1] === SPACE || buffer[last - 1] === TAB)) last--;
    index[at + valueEnd] = last;
    index[at + lineEnd] = end;
    const from = index[at + nameStart]!;
    const to = index[at + nameEnd]!;
    const sign = signatureAt(buffer, from, to);
    index[at + signature] = sign;
    this.count++;
    const id = knownAt(buffer, from, to, sign);
    return id === 0 || this.note(id, at);
  }

  private begin(chunk: Buffer, from: number, to: number): void {
    this.clearLines();
    this.reset();
    this.buffer = chunk;
    this.start = from;
    this.scanned = from;
    this.limit = to;
    this.phase = atStart;
  }

  /** Appends to our own buffer; at first moves the head so far to its beginning. */
  private gather(chunk: Buffer, from: number, to: number): void {
    const more = to - from;
    if (this.gathered === null || this.limit + more > this.gathered.length) {
      const size = this.limit - this.start + more;
      const larger = Buffer.allocUnsafeSlow(Math.max(1_024, size * 2));
      this.buffer.copy(larger, 0, this.start, this.limit);
      this.move(-this.start);
      this.gathered = larger;
    }
    chunk.copy(this.gathered, this.limit, from, to);
    this.buffer = this.gathered;
    this.limit += more;
  }

  private move(by: number): void {
    if (by === 0) return;
    const last = (this.count + 1) * stride;
    for (let at = 0; at < last; at++) {
      if (at % stride !== signature) this.index[at] = this.index[at]! + by;
    }
    this.start += by;
    this.scanned += by;
    this.limit += by;
    this.linesStart += by;
    this.moved(by);
  }

  /** Offsets of the start line move too. */
  protected abstract moved(by: number): void;
}

/**
 * A Content-Length of digits alone, without leading zeros; at most 15 of them, so it is exact.
 * @returns -1 when it is anything else
 */
export function lengthAt(buffer: Buffer, from: number, to: number): number {
  if (from === to || to - from > 15 || (buffer[from] === 48 && to - from > 1)) return -1;
  let length = 0;
  for (let i = from; i < to; i++) {
    const digit = buffer[i]! - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** Calls `use` with each element of the comma list at `from…to`, blanks trimmed, empty ones left out. */
export function eachElement(
  buffer: Buffer,
  from: number,
  to: number,
  use: (from: number, to: number) => void,
): void {
  for (let start = from; start < to;) {
    let comma = start;
    while (comma < to && buffer[comma] !== COMMA) comma++;
    let end = comma;
    while (start < end && (buffer[start] === SPACE || buffer[start] === TAB)) start++;
    while (end > start && (buffer[end - 1] === SPACE || buffer[end - 1] === TAB)) end--;
    if (end > start) use(start, end);
    start = comma + 1;
  }
}
