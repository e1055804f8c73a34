// Encodes header blocks (RFC 7541): what is sent a second time is indexed, everything else is literal.
import { COLON, FOLD, writeLatin1 } from '../../bytes.ts';
import type { FieldEncoder } from '../../lines.ts';
import { isNamed, signatureAt, signatureOf } from '../../names.ts';

import { DynamicTable } from './dynamic-table.ts';
import {
  staticBytes,
  staticCount,
  staticNameFrom,
  staticNames,
  staticNameTo,
} from './static-table.ts';

/** What we use of the peer's table, at most. */
const defaultTableBytes = 4096;
/** Longer fields are not worth a place. */
const indexedBytesMax = 1024;
const slots = 256;
/** Of each end of a value. */
const hashedBytesMax = 32;
const indexedBit = 0x80;
const addedBit = 0x40;
/** For secrets that a later hop must not put in its table either (RFC 7541 7.1.3). */
const neverBit = 0x10;

/** Bytes of names in lower case; those of pseudo-header fields begin with a colon. */
const NAME = FOLD.map((folded, byte) => (byte === COLON ? COLON : folded));
/** Static names by their signature, open-addressed: `[signature, index]` pairs. */
const staticSlots = buildStaticSlots();
const cookieSign = signatureOf('cookie');
const authorizationSign = signatureOf('authorization');
const setCookieSign = signatureOf('set-cookie');

const statusIndexes: Readonly<Record<number, number>> = {
  200: 8,
  204: 9,
  206: 10,
  304: 11,
  400: 12,
  404: 13,
  500: 14,
};
const statusName = 8;
const methodName = 2;
const postIndex = 3;
const httpIndex = 6;
const httpsIndex = 7;

export class HpackEncoder implements FieldEncoder {
  private readonly table: DynamicTable;
  private readonly tableBytesMax: number;
  /** The peer allows another size than the table has, and was not told so yet. */
  private resized = false;
  private smallestSize: number;
  /** Hash of a field -> number of its entry in the table, plus one; stale ones are looked through. */
  private readonly entryAt = new Int32Array(slots);
  /** Hashes of fields that were sent lately: only what comes again gets a place in the table. */
  private readonly seen = new Int32Array(slots);
  /** Fields given as text, as bytes. */
  private scratch: Buffer = Buffer.allocUnsafeSlow(1024);

  constructor(tableBytesMax = defaultTableBytes) {
    this.tableBytesMax = tableBytesMax;
    this.table = new DynamicTable(tableBytesMax);
    this.smallestSize = tableBytesMax;
    // Until the peer says otherwise its table has the default size, which ours may not exceed.
    if (tableBytesMax > defaultTableBytes) this.table.resize(defaultTableBytes);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableBytesMax(bytes: number): void {
    const size = Math.min(bytes, this.tableBytesMax);
    if (size === this.table.max) return;
    this.smallestSize = this.resized ? Math.min(this.smallestSize, size) : size;
    this.resized = true;
    this.table.resize(size);
  }

  /** Begins a block: tells of a new table size (RFC 7541 4.2). @returns the offset after it */
  begin(out: Buffer, offset: number): number {
    if (!this.resized) return offset;
    this.resized = false;
    if (this.smallestSize < this.table.max)
      offset = integer(out, offset, 5, 0x20, this.smallestSize);
    return integer(out, offset, 5, 0x20, this.table.max);
  }

  field(
    out: Buffer,
    offset: number,
    buffer: Buffer,
    nameFrom: number,
    nameTo: number,
    valueFrom: number,
    valueTo: number,
  ): number {
    const sign = signatureAt(buffer, nameFrom, nameTo);
    const length = nameTo - nameFrom + valueTo - valueFrom;
    const secret = isSecret(sign, buffer, nameFrom, nameTo);
    let first = secret ? neverBit : 0;
    if (!secret && length <= indexedBytesMax && this.table.max > 0) {
      const hash = hashOf(sign, buffer, valueFrom, valueTo);
      const slot = hash & (slots - 1);
      const index = this.indexAt(slot, buffer, nameFrom, nameTo, valueFrom, valueTo);
      if (index > 0) return integer(out, offset, 7, indexedBit, index);
      if (this.seen[slot] === hash) {
        first = addedBit;
        this.entryAt[slot] = this.table.added + 1;
      } else this.seen[slot] = hash;
    }
    const name = staticNameIndex(sign, buffer, nameFrom, nameTo);
    const at = offset;
    offset = integer(out, offset, first === addedBit ? 6 : 4, first, name);
    if (name === 0) {
      offset = integer(out, offset, 7, 0, nameTo - nameFrom);
      for (let i = nameFrom; i < nameTo; i++) out[offset++] = NAME[buffer[i]!]!;
    }
    const nameEnd = offset;
    offset = integer(out, offset, 7, 0, valueTo - valueFrom);
    const valueAt = offset;
    offset += buffer.copy(out, offset, valueFrom, valueTo);
    if (first === addedBit) this.add(out, at, name, nameEnd, nameTo - nameFrom, valueAt, offset);
    return offset;
  }

  text(out: Buffer, offset: number, name: string, value: string): number {
    const length = name.length + value.length;
    if (length > this.scratch.length) this.scratch = Buffer.allocUnsafeSlow(2 * length);
    const { scratch } = this;
    writeLatin1(scratch, name, 0);
    writeLatin1(scratch, value, name.length);
    return this.field(out, offset, scratch, 0, name.length, name.length, length);
  }

  status(out: Buffer, offset: number, status: number): number {
    const index = statusIndexes[status];
    if (index !== undefined) return integer(out, offset, 7, indexedBit, index);
    out[offset++] = statusName;
    out[offset++] = 3;
    return writeLatin1(out, String(status), offset);
  }

  method(out: Buffer, offset: number, method: string): number {
    if (method === 'GET') return integer(out, offset, 7, indexedBit, methodName);
    if (method === 'POST') return integer(out, offset, 7, indexedBit, postIndex);
    out[offset++] = methodName;
    offset = integer(out, offset, 7, 0, method.length);
    return writeLatin1(out, method, offset);
  }

  scheme(out: Buffer, offset: number, scheme: string): number {
    out[offset++] = indexedBit | (scheme === 'https' ? httpsIndex : httpIndex);
    return offset;
  }

  /** Index of that very field in the table, or 0. */
  private indexAt(
    slot: number,
    buffer: Buffer,
    nameFrom: number,
    nameTo: number,
    valueFrom: number,
    valueTo: number,
  ): number {
    const { table } = this;
    const number = this.entryAt[slot]! - 1;
    if (number < table.oldest || number >= table.added) return 0;
    const from = table.nameStart(number);
    const split = table.nameEnd(number);
    const end = table.valueEnd(number);
    if (split - from !== nameTo - nameFrom || end - split !== valueTo - valueFrom) return 0;
    for (let i = from, at = nameFrom; i < split; i++, at++) {
      if (table.bytes[i] !== NAME[buffer[at]!]) return 0;
    }
    if (table.bytes.compare(buffer, valueFrom, valueTo, split, end) !== 0) return 0;
    return staticCount + table.added - number;
  }

  /** Adds the literal that was just written, whose name may be the static table's. */
  private add(
    out: Buffer,
    at: number,
    name: number,
    nameEnd: number,
    nameBytes: number,
    valueFrom: number,
    valueTo: number,
  ): void {
    if (name === 0) this.table.add(out, nameEnd - nameBytes, nameEnd, out, valueFrom, valueTo);
    else {
      const from = staticNameFrom[name]!;
      this.table.add(staticBytes, from, staticNameTo[name]!, out, valueFrom, valueTo);
    }
  }
}

function integer(out: Buffer, offset: number, bits: number, first: number, value: number): number {
  const mask = (1 << bits) - 1;
  if (value < mask) {
    out[offset++] = first | value;
    return offset;
  }
  out[offset++] = first | mask;
  let rest = value - mask;
  while (rest >= 128) {
    out[offset++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[offset++] = rest;
  return offset;
}

function isSecret(sign: number, buffer: Buffer, from: number, to: number): boolean {
  return (
    (sign === authorizationSign && isNamed(buffer, from, to, 'authorization')) ||
    (sign === cookieSign && isNamed(buffer, from, to, 'cookie')) ||
    (sign === setCookieSign && isNamed(buffer, from, to, 'set-cookie'))
  );
}

/** Of the name's signature and the value's ends; never 0. */
function hashOf(sign: number, buffer: Buffer, from: number, to: number): number {
  let hash = sign ^ Math.imul(to - from, 0x9e3779b1);
  const head = Math.min(to, from + hashedBytesMax);
  for (let i = from; i < head; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
  for (let i = Math.max(head, to - hashedBytesMax); i < to; i++) {
    hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
  }
  hash ^= hash >>> 15;
  return hash === 0 ? 1 : hash;
}

function staticNameIndex(sign: number, buffer: Buffer, from: number, to: number): number {
  for (let at = slotOf(sign); staticSlots.signs[at] !== 0; at = (at + 1) & 127) {
    if (staticSlots.signs[at] !== sign) continue;
    const index = staticSlots.indexes[at]!;
    const length = staticNameTo[index]! - staticNameFrom[index]!;
    if (length === to - from && sameName(buffer, from, staticNameFrom[index]!, length))
      return index;
  }
  return 0;
}

function sameName(buffer: Buffer, from: number, staticFrom: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (staticBytes[staticFrom + i] !== NAME[buffer[from + i]!]) return false;
  }
  return true;
}

function slotOf(sign: number): number {
  return Math.imul(sign, 0x9e3779b1) >>> 25;
}

function buildStaticSlots(): { signs: Int32Array; indexes: Uint8Array } {
  const built = { signs: new Int32Array(128), indexes: new Uint8Array(128) };
  for (const [name, index] of staticNames()) {
    const bytes = Buffer.from(name);
    const sign = signatureAt(bytes, 0, bytes.length);
    let at = slotOf(sign);
    while (built.signs[at] !== 0) at = (at + 1) & 127;
    built.signs[at] = sign;
    built.indexes[at] = index;
  }
  return built;
}
