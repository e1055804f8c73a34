// Decoded fields as header lines, checked as strictly as HTTP/1.1's (RFC 9113 8.2): what they become must be safe in either.
import { AUTHORITY, COLON, FIELD, FOLD, latin1At, SPACE, TAB } from '../bytes.ts';
import { BuiltLines } from '../built-lines.ts';
import { lengthAt } from '../http1/head.ts';
import { signature, valueEnd, valueStart } from '../lines.ts';
import { isNamed, known, knownAt } from '../names.ts';

import type { FieldSink } from './hpack/decoder.ts';

/** What a block turned out to be once it is decoded. */
export type BlockState = 'ok' | 'malformed' | 'too-large';

export interface FieldLimits {
  /** Names, values and 32 for each field, decoded: HPACK bombs are counted in these. */
  readonly headBytesMax: number;
  readonly headerCountMax: number;
}

/** What each field counts beside its bytes (RFC 9113 6.5.2). */
export const fieldOverheadBytes = 32;

export abstract class FieldLines extends BuiltLines implements FieldSink {
  state: BlockState = 'ok';
  /** -1: no Content-Length. */
  contentLength = -1;
  private readonly limits: FieldLimits;
  private decodedBytes = 0;
  private fields = 0;
  /** A regular field has come, so no pseudo-header field may (RFC 9113 8.3). */
  private regular = false;

  constructor(limits: FieldLimits) {
    super();
    this.limits = limits;
  }

  /** Forgets what was there. */
  begin(): void {
    this.clearLines();
    this.state = 'ok';
    this.contentLength = -1;
    this.decodedBytes = 0;
    this.fields = 0;
    this.regular = false;
  }

  /** The body goes on as content. @param bytes -1: its length is not known */
  reframe(bytes: number): void {
    this.reframeLines(bytes);
    this.contentLength = bytes;
  }

  field(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): void {
    if (this.state !== 'ok') return;
    const bytes = nameTo - nameFrom + valueTo - valueFrom + fieldOverheadBytes;
    this.decodedBytes += bytes;
    const { headBytesMax, headerCountMax } = this.limits;
    if (this.decodedBytes > headBytesMax || ++this.fields > headerCountMax) {
      this.state = 'too-large';
    } else if (!isValue(values, valueFrom, valueTo)) this.state = 'malformed';
    else if (names[nameFrom] === COLON) {
      const name = latin1At(names, nameFrom, nameTo);
      if (this.regular || !this.pseudo(name, values, valueFrom, valueTo)) this.state = 'malformed';
    } else {
      this.regular = true;
      if (!isName(names, nameFrom, nameTo)) this.state = 'malformed';
      else this.take(this.addLine(names, nameFrom, nameTo, values, valueFrom, valueTo));
    }
  }

  /** A pseudo-header field. @returns false: malformed */
  protected abstract pseudo(name: string, values: Buffer, from: number, to: number): boolean;
  /** A field that only some messages may have; `at` is its line. @returns false: malformed */
  protected abstract note(id: number, at: number): boolean;

  private take(at: number): void {
    const { buffer, index } = this;
    const from = index[at]!;
    const to = index[at + 1]!;
    const id = knownAt(buffer, from, to, index[at + signature]!);
    if (id === known.none) return;
    if (!this.judge(id, at)) this.state = 'malformed';
  }

  private judge(id: number, at: number): boolean {
    const from = this.index[at + valueStart]!;
    const to = this.index[at + valueEnd]!;
    switch (id) {
      case known.contentLength:
        if (this.contentLength !== -1) return false;
        this.contentLength = lengthAt(this.buffer, from, to);
        return this.contentLength !== -1;
      case known.te:
        return isNamed(this.buffer, from, to, 'trailers');
      case known.host:
      case known.expect:
        return this.note(id, at);
      default:
        // Of one connection of HTTP/1.1 (RFC 9113 8.2.2).
        return false;
    }
  }
}

export function isName(buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const byte = buffer[i]!;
    // Upper case folds to another byte, and what is no token byte to 0.
    if (FOLD[byte] !== byte || byte === 0) return false;
  }
  return to > from;
}

/** A field value without blanks around it (RFC 9113 8.2.1). */
export function isValue(buffer: Buffer, from: number, to: number): boolean {
  if (to === from) return true;
  const first = buffer[from];
  const last = buffer[to - 1];
  if (first === SPACE || first === TAB || last === SPACE || last === TAB) return false;
  for (let i = from; i < to; i++) {
    if (FIELD[buffer[i]!] === 0) return false;
  }
  return true;
}

/** Whether the bytes may stand in `:authority` or `Host`. */
export function isAuthority(buffer: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if (AUTHORITY[buffer[i]!] === 0) return false;
  }
  return true;
}
