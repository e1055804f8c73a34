// Header lines by their byte ranges: lookups, edits and the edited copy, without a string per line.
import { FOLD, utf8At, writeLatin1 } from './bytes.ts';

import { isKnown, isNamed, isOfHttp1, isSpelled, signatureOf } from './names.ts';

/** Layout of one line in `HeaderLines.index`. */
export const nameStart = 0;
export const nameEnd = 1;
export const valueStart = 2;
/** Trimmed. */
export const valueEnd = 3;
/** After the CRLF. */
export const lineEnd = 4;
/** See names.ts; 0: the line is cut. */
export const signature = 5;
export const stride = 6;

/** Encodes fields for HTTP/2; wire/http2's HPACK does. Both return the offset after the field. */
export interface FieldEncoder {
  /** The name is folded to lower case. */
  field(
    out: Buffer,
    offset: number,
    buffer: Buffer,
    nameFrom: number,
    nameTo: number,
    valueFrom: number,
    valueTo: number,
  ): number;
  /** @param name lower-case @param value one byte a character */
  text(out: Buffer, offset: number, name: string, value: string): number;
  method(out: Buffer, offset: number, method: string): number;
  scheme(out: Buffer, offset: number, scheme: string): number;
  status(out: Buffer, offset: number, status: number): number;
}

/** What HPACK may add to a field. */
const fieldOverheadBytes = 16;

const nothing: readonly string[] = Object.freeze([]);
const emptyBuffer: Buffer = Buffer.alloc(0);
const notPlain = /[^\t\x20-\x7e]/;
const breaking = /[\0\r\n]/g;

export class HeaderLines {
  /** Where the head is; the index holds offsets in it. */
  buffer: Buffer = emptyBuffer;
  /** Lines, cut ones included. */
  count = 0;
  index = new Int32Array(16 * stride);

  /** Lines are cut, so the copy is made of several runs. */
  protected cut = false;
  /**
   * Lines added. What stands beyond `addedCount` is of an earlier head: most lines are the same for
   * each request of a connection, and then need no second look.
   */
  protected addedCount = 0;
  private readonly addedNames: string[] = [];
  private readonly addedValues: string[] = [];
  /** The values as they go out: one byte a character. */
  private readonly addedWire: string[] = [];
  /** The lines as HTTP/1.1 writes them. */
  private readonly addedLines: string[] = [];

  /** Values of the lines of that name that are not cut, then of those added. @param name lower-case */
  values(name: string): readonly string[] {
    let found: string[] | null = null;
    for (let at = this.find(name, 0); at >= 0; at = this.find(name, at + stride)) {
      (found ??= []).push(this.valueAt(at));
    }
    for (let i = 0; i < this.addedCount; i++) {
      if (this.addedNames[i] === name) (found ??= []).push(this.addedValues[i]!);
    }
    return found ?? nothing;
  }

  /**
   * Cuts every line of that name, added ones too. Framing and connection are the engine's own:
   * their names are ignored.
   * @param name lower-case
   */
  remove(name: string): void {
    if (!isKnown(name)) this.cutName(name);
  }

  /**
   * As `remove`, and cuts lines whose name has `_` where `name` has `-`: CGI and WSGI give both to
   * the application as one.
   */
  removeSpellings(name: string): void {
    if (isKnown(name)) return;
    this.cutName(name);
    const { index } = this;
    for (let at = 0, end = this.count * stride; at < end; at += stride) {
      if ((index[at + signature]! & 0xff) !== (name.length & 0xff)) continue;
      if (isSpelled(this.buffer, index[at + nameStart]!, index[at + nameEnd]!, name))
        this.cutAt(at);
    }
  }

  protected cutName(name: string): void {
    for (let at = this.find(name, 0); at >= 0; at = this.find(name, at + stride)) this.cutAt(at);
    if (this.addedCount > 0) this.removeAdded(name);
  }

  /**
   * Adds a line at the end. CR, LF and NUL in the value become spaces (RFC 9110 5.5), other text
   * beyond ASCII goes out as UTF-8. Ignored for the names that `remove` ignores.
   * @param name lower-case token
   */
  append(name: string, value: string): void {
    const at = this.addedCount;
    if (this.addedNames[at] === name && this.addedValues[at] === value) {
      this.addedCount++;
      return;
    }
    if (isKnown(name) || !isToken(name)) return;
    this.addText(name, value);
  }

  /** Says another length of the body, and no other framing. @param bytes its content */
  protected reframeLines(bytes: number): void {
    this.cutName('content-length');
    this.cutName('transfer-encoding');
    if (bytes >= 0) this.addText('content-length', String(bytes));
  }

  /** Of a request for gRPC: some servers refuse one without it. */
  protected acceptTrailers(): void {
    this.cutName('te');
    this.addText('te', 'trailers');
  }

  private addText(name: string, value: string): void {
    const at = this.addedCount;
    const plain = !notPlain.test(value);
    const safe = plain ? value : value.replace(breaking, ' ');
    this.addedNames[at] = name;
    this.addedValues[at] = safe;
    const wire = plain ? safe : Buffer.from(safe).toString('latin1');
    this.addedWire[at] = wire;
    this.addedLines[at] = `${name}: ${wire}\r\n`;
    this.addedCount++;
  }

  /** Every line that is not cut, names as sent, then those added. */
  lines(): [name: string, value: string][] {
    const all: [string, string][] = [];
    for (let at = 0; at < this.count * stride; at += stride) {
      if (this.index[at + signature] === 0) continue;
      const from = this.index[at + nameStart]!;
      all.push([this.buffer.toString('latin1', from, this.index[at + nameEnd]), this.valueAt(at)]);
    }
    for (let i = 0; i < this.addedCount; i++) {
      all.push([this.addedNames[i]!, this.addedValues[i]!]);
    }
    return all;
  }

  /** Whether any line's name begins so. @param prefix lower-case */
  hasPrefix(prefix: string): boolean {
    const { index, buffer } = this;
    const length = prefix.length;
    for (let at = 0, end = this.count * stride; at < end; at += stride) {
      const from = index[at + nameStart]!;
      if (index[at + signature] === 0 || index[at + nameEnd]! - from < length) continue;
      if (isNamed(buffer, from, from + length, prefix)) return true;
    }
    for (let i = 0; i < this.addedCount; i++) {
      if (this.addedNames[i]!.startsWith(prefix)) return true;
    }
    return false;
  }

  /** Offset in `index` of the first line of that name at or after `at`, or -1. */
  find(name: string, at: number): number {
    const wanted = signatureOf(name);
    const { index, buffer } = this;
    for (const end = this.count * stride; at < end; at += stride) {
      if (index[at + signature] !== wanted) continue;
      if (isNamed(buffer, index[at + nameStart]!, index[at + nameEnd]!, name)) return at;
    }
    return -1;
  }

  /** UTF-8, as policies are written. */
  valueAt(at: number): string {
    return utf8At(this.buffer, this.index[at + valueStart]!, this.index[at + valueEnd]!);
  }

  cutAt(at: number): void {
    this.index[at + signature] = 0;
    this.cut = true;
  }

  /** Whether a value is `wanted`, ASCII case aside. @param wanted lower-case token bytes */
  protected valueIs(from: number, to: number, wanted: string): boolean {
    return isNamed(this.buffer, from, to, wanted);
  }

  /** Copies `from…` to the end of the lines that are not cut. @returns the new offset in `out` */
  protected copyLines(out: Buffer, offset: number, from: number, to: number): number {
    if (!this.cut) return offset + this.buffer.copy(out, offset, from, to);
    const { index, buffer } = this;
    let run = from;
    for (let at = 0, end = this.count * stride; at < end; at += stride) {
      if (index[at + signature] !== 0) continue;
      const start = index[at + nameStart]!;
      if (start < run) continue;
      if (start >= to) break;
      if (start > run) offset += buffer.copy(out, offset, run, start);
      run = index[at + lineEnd]!;
    }
    return to > run ? offset + buffer.copy(out, offset, run, to) : offset;
  }

  /** Room that `writeAdded` needs. */
  protected addedBytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.addedCount; i++) bytes += this.addedLines[i]!.length;
    return bytes;
  }

  /** @returns the new offset in `out` */
  protected writeAdded(out: Buffer, offset: number): number {
    for (let i = 0; i < this.addedCount; i++) {
      offset = writeLatin1(out, this.addedLines[i]!, offset);
    }
    return offset;
  }

  /** Room that `writeFields` needs at most, for lines of `bytes` in all. */
  protected fieldBytesMax(bytes: number): number {
    return bytes + this.addedBytes() + (this.count + this.addedCount) * fieldOverheadBytes;
  }

  /** Encodes every line that is not cut and that HTTP/2 has, then those added. */
  protected writeFields(encoder: FieldEncoder, out: Buffer, offset: number): number {
    const { index, buffer } = this;
    for (let at = 0, end = this.count * stride; at < end; at += stride) {
      const sign = index[at + signature]!;
      const from = index[at + nameStart]!;
      const to = index[at + nameEnd]!;
      if (sign === 0 || isOfHttp1(buffer, from, to, sign)) continue;
      offset = encoder.field(
        out,
        offset,
        buffer,
        from,
        to,
        index[at + valueStart]!,
        index[at + valueEnd]!,
      );
    }
    for (let i = 0; i < this.addedCount; i++) {
      offset = encoder.text(out, offset, this.addedNames[i]!, this.addedWire[i]!);
    }
    return offset;
  }

  protected clearLines(): void {
    this.count = 0;
    this.cut = false;
    this.addedCount = 0;
  }

  protected releaseBuffer(): void {
    this.buffer = emptyBuffer;
  }

  protected grow(): void {
    const index = new Int32Array(this.index.length * 2);
    index.set(this.index);
    this.index = index;
  }

  private removeAdded(name: string): void {
    let kept = 0;
    for (let i = 0; i < this.addedCount; i++) {
      if (this.addedNames[i] === name) continue;
      this.addedNames[kept] = this.addedNames[i]!;
      this.addedValues[kept] = this.addedValues[i]!;
      this.addedWire[kept] = this.addedWire[i]!;
      this.addedLines[kept] = this.addedLines[i]!;
      kept++;
    }
    this.addedCount = kept;
  }
}

/** Whether `name` may be sent as a field name. */
function isToken(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 255 || FOLD[code] === 0) return false;
  }
  return name !== '';
}
