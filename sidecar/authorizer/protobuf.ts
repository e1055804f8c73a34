// Protocol Buffers' wire format, as much as Check messages need: varints, and fields with a length.

/** Writes the fields of one message, in the order of the calls. Fields of proto3 with their default are left out. */
export class MessageWriter {
  private readonly parts: Buffer[] = [];
  private bytes = 0;

  text(field: number, value: string): this {
    return value === '' ? this : this.piece(field, Buffer.from(value));
  }

  raw(field: number, value: Buffer): this {
    return value.length === 0 ? this : this.piece(field, value);
  }

  /** Also an empty one: that it is there says something. */
  message(field: number, value: MessageWriter): this {
    return this.piece(field, value.finish());
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(field: number, value: number): this {
    if (value === 0) return this;
    this.add(varint(field * 8));
    this.add(varint(value));
    return this;
  }

  /** map<string, string>. */
  entry(field: number, name: string, value: string): this {
    return this.message(field, new MessageWriter().text(1, name).text(2, value));
  }

  finish(): Buffer {
    return Buffer.concat(this.parts, this.bytes);
  }

  private piece(field: number, value: Buffer): this {
    this.add(varint(field * 8 + withLength));
    this.add(varint(value.length));
    this.add(value);
    return this;
  }

  private add(part: Buffer): void {
    this.parts.push(part);
    this.bytes += part.length;
  }
}

/** A varint as its low 32 bits, signed, or the bytes of a field with a length. */
export type FieldValue = number | Buffer;

/** What was read is no message. */
export class ProtobufError extends Error {}

const withLength = 2;
const varintBytesMax = 10;

/**
 * Tells each field of a message. Those of fixed length are skipped, as fields that nobody knows.
 * Throws ProtobufError for what is none.
 */
export function readFields(
  buffer: Buffer,
  visit: (field: number, value: FieldValue) => void,
): void {
  const cursor = { buffer, at: 0 };
  while (cursor.at < buffer.length) {
    const key = readVarint(cursor) >>> 0;
    const field = key >>> 3;
    if (field === 0) throw new ProtobufError('a field has the number 0');
    switch (key & 7) {
      case 0:
        visit(field, readVarint(cursor));
        break;
      case 1:
        take(cursor, 8);
        break;
      case withLength:
        visit(field, take(cursor, readVarint(cursor)));
        break;
      case 5:
        take(cursor, 4);
        break;
      default:
        throw new ProtobufError('a field has an unknown wire type');
    }
  }
}

interface Cursor {
  readonly buffer: Buffer;
  at: number;
}

function readVarint(cursor: Cursor): number {
  let value = 0;
  for (let i = 0; i < varintBytesMax; i++) {
    const byte = cursor.buffer[cursor.at];
    if (byte === undefined) throw new ProtobufError('the message ends within a number');
    cursor.at += 1;
    // Beyond 32 bits nothing that is read here has a meaning.
    if (i < 5) value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return value;
  }
  throw new ProtobufError('a number has more than ten bytes');
}

function take(cursor: Cursor, bytes: number): Buffer {
  const from = cursor.at;
  if (bytes < 0 || bytes > cursor.buffer.length - from) {
    throw new ProtobufError('the message ends within a field');
  }
  cursor.at += bytes;
  return cursor.buffer.subarray(from, cursor.at);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
