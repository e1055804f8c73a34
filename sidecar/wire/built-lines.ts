// Header lines put together from fields, in memory of their own, in the form that a parsed head has.
import { COLON, CR, FOLD, LF, SPACE } from './bytes.ts';
import {
  HeaderLines,
  lineEnd,
  nameEnd,
  nameStart,
  signature,
  stride,
  valueEnd,
  valueStart,
} from './lines.ts';
import { signatureAt } from './names.ts';

/** Enough for most heads. */
const firstBytes = 1024;
/** More than this is given back when the lines are cleared. */
const keptBytesMax = 8192;
/** `: ` and CRLF. */
const lineOverheadBytes = 4;

export abstract class BuiltLines extends HeaderLines {
  /** Bytes of `buffer` that are in use. */
  protected length = 0;
  private own: Buffer | null = null;

  /**
   * Adds a line. The name is folded to lower case; nothing is checked.
   * @returns its offset in `index`
   */
  protected addLine(
    names: Buffer,
    nameFrom: number,
    nameTo: number,
    values: Buffer,
    valueFrom: number,
    valueTo: number,
  ): number {
    const out = this.reserve(nameTo - nameFrom + valueTo - valueFrom + lineOverheadBytes);
    let to = this.length;
    const from = to;
    for (let i = nameFrom; i < nameTo; i++) out[to++] = FOLD[names[i]!]!;
    const at = this.count * stride;
    if (at + stride > this.index.length) this.grow();
    const { index } = this;
    index[at + nameStart] = from;
    index[at + nameEnd] = to;
    index[at + signature] = signatureAt(out, from, to);
    out[to++] = COLON;
    out[to++] = SPACE;
    index[at + valueStart] = to;
    to += values.copy(out, to, valueFrom, valueTo);
    index[at + valueEnd] = to;
    out[to++] = CR;
    out[to++] = LF;
    index[at + lineEnd] = to;
    this.length = to;
    this.count++;
    return at;
  }

  /** Makes room at the end. */
  protected reserve(bytes: number): Buffer {
    const needed = this.length + bytes;
    let { own } = this;
    if (own === null || needed > own.length) {
      own = Buffer.allocUnsafeSlow(Math.max(firstBytes, needed * 2));
      this.buffer.copy(own, 0, 0, this.length);
      this.own = own;
    }
    this.buffer = own;
    return own;
  }

  protected override clearLines(): void {
    super.clearLines();
    this.length = 0;
    if (this.own !== null && this.own.length > keptBytesMax) {
      this.own = null;
      this.releaseBuffer();
    }
  }
}
