// Protocol Buffers' wire format with all of its types, for messages that are known by their descriptors only.
import { ProtobufError } from '../authorizer/protobuf.ts';
import { kinds } from './protobuf-descriptor.ts';

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field as it is on the wire. */
export interface WireField {
  readonly number: number;
  readonly type: number;
  /** Of a varint: all 64 bits, unsigned. */
  readonly varint: bigint;
  /** Of the other types. */
  readonly bytes: Buffer;
}

const none: Buffer = Buffer.alloc(0);
const varintBytesMax = 10;
const firstBytes = 32;
const low64 = 0xffff_ffff_ffff_ffffn;

/** Scalars of fixed length. */
const fixedBytes: Readonly<Record<number, number>> = {
  [kinds.double]: 8,
  [kinds.fixed64]: 8,
  [kinds.sfixed64]: 8,
  [kinds.float]: 4,
  [kinds.fixed32]: 4,
  [kinds.sfixed32]: 4,
};

export function wireTypeOf(kind: number): number {
  if (kind === kinds.string || kind === kinds.bytes || kind === kinds.message) return wire.bytes;
  const bytes = fixedBytes[kind];
  if (bytes === undefined) return wire.varint;
  return bytes === 8 ? wire.fixed64 : wire.fixed32;
}

/** Throws ProtobufError for what is no message. */
export class WireReader {
  private readonly buffer: Buffer;
  private at = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  get done(): boolean {
    return this.at >= this.buffer.length;
  }

  field(): WireField {
    const key = Number(this.varint());
    const number = Math.floor(key / 8);
    const type = key % 8;
    if (number < 1 || number > 536_870_911) throw new ProtobufError('a field has no such number');
    if (type === wire.varint) return { number, type, varint: this.varint(), bytes: none };
    return { number, type, varint: 0n, bytes: this.value(type) };
  }

  varint(): bigint {
    const { buffer } = this;
    let value = 0n;
    for (let i = 0n; i < 10n; i += 1n) {
      const byte = buffer[this.at];
      if (byte === undefined) throw new ProtobufError('the message ends within a number');
      this.at += 1;
      value |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) return value & low64;
    }
    throw new ProtobufError('a number has more than ten bytes');
  }

  value(type: number): Buffer {
    if (type === wire.fixed64) return this.take(8);
    if (type === wire.fixed32) return this.take(4);
    if (type === wire.bytes) return this.take(Number(this.varint()));
    throw new ProtobufError('a field has an unknown wire type');
  }

  private take(bytes: number): Buffer {
    const from = this.at;
    if (bytes > this.buffer.length - from) {
      throw new ProtobufError('the message ends within a field');
    }
    this.at += bytes;
    return this.buffer.subarray(from, this.at);
  }
}

/** Writes what it is told, in that order. */
export class WireWriter {
  private out: Buffer = none;
  private length = 0;

  key(number: number, type: number): this {
    return this.small(number * 8 + type);
  }

  /** Negative ones as their two's complement. */
  varint(value: bigint): this {
    if (value >= 0n && value < 0x8000_0000n) return this.small(Number(value));
    let rest = BigInt.asUintN(64, value);
    this.reserve(varintBytesMax);
    while (rest >= 0x80n) {
      this.out[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.out[this.length++] = Number(rest);
    return this;
  }

  /** With its length. */
  bytes(value: Buffer): this {
    return this.small(value.length).raw(value);
  }

  raw(value: Buffer): this {
    this.reserve(value.length);
    value.copy(this.out, this.length);
    this.length += value.length;
    return this;
  }

  finish(): Buffer {
    return this.out.subarray(0, this.length);
  }

  /** A varint below 2^32. */
  private small(value: number): this {
    this.reserve(varintBytesMax);
    let rest = value;
    while (rest >= 0x80) {
      this.out[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.out[this.length++] = rest;
    return this;
  }

  private reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(firstBytes, needed * 2));
    this.out.copy(larger, 0, 0, this.length);
    this.out = larger;
  }
}
