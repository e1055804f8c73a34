// Scalars of protobuf messages, from JSON to the wire and back (the JSON mapping of proto3).
import { isUtf8 } from 'node:buffer';

import { ProtobufError } from '../authorizer/protobuf.ts';
import { type EnumType, type FieldType, kinds } from './protobuf-descriptor.ts';
import type { WireField, WireWriter } from './protobuf-wire.ts';

/** A number of a JSON text, as it is written: 64 bits are more than a double has. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value of a JSON text is none for its field. */
export class JsonMismatch extends Error {}

type Scalar = Pick<FieldType, 'kind' | 'enumType'>;

/** @param at names the value in what is thrown */
export function writeScalar(out: WireWriter, field: Scalar, value: unknown, at: string): void {
  const { kind } = field;
  const range = ranges[kind];
  if (range !== undefined) writeInteger(out, kind, integerOf(value, range, at));
  else if (kind === kinds.double || kind === kinds.float) {
    const number = floatOf(value, kind === kinds.float, at);
    const bytes = Buffer.alloc(kind === kinds.float ? 4 : 8);
    if (kind === kinds.float) bytes.writeFloatLE(number);
    else bytes.writeDoubleLE(number);
    out.raw(bytes);
  } else if (kind === kinds.bool) {
    if (typeof value !== 'boolean') throw new JsonMismatch(`${at} is not true or false`);
    out.varint(value ? 1n : 0n);
  } else if (kind === kinds.string) {
    if (typeof value !== 'string') throw new JsonMismatch(`${at} is no string`);
    if (!value.isWellFormed()) throw new JsonMismatch(`${at} has half a character`);
    out.bytes(Buffer.from(value));
  } else if (kind === kinds.bytes) out.bytes(base64Of(value, at));
  else if (field.enumType !== null) out.varint(enumOf(value, field.enumType, at));
  else throw new JsonMismatch(`${at} is of a type that is not known`);
}

/** A scalar on the wire, as JSON says it. */
export function scalarOf({ kind, enumType }: Scalar, { varint, bytes }: WireField): unknown {
  switch (kind) {
    case kinds.double:
      return jsonNumber(bytes.readDoubleLE());
    case kinds.float:
      return jsonNumber(shortest(bytes.readFloatLE()));
    case kinds.int64:
      return String(BigInt.asIntN(64, varint));
    case kinds.uint64:
      return String(varint);
    case kinds.sint64:
      return String(unzigzag(varint));
    case kinds.fixed64:
      return String(bytes.readBigUInt64LE());
    case kinds.sfixed64:
      return String(bytes.readBigInt64LE());
    case kinds.int32:
      return Number(BigInt.asIntN(32, varint));
    case kinds.uint32:
      return Number(BigInt.asUintN(32, varint));
    case kinds.sint32:
      return Number(unzigzag(BigInt.asUintN(32, varint)));
    case kinds.fixed32:
      return bytes.readUInt32LE();
    case kinds.sfixed32:
      return bytes.readInt32LE();
    case kinds.bool:
      return varint !== 0n;
    case kinds.string:
      if (!isUtf8(bytes)) throw new ProtobufError('a string is not UTF-8');
      return bytes.toString();
    case kinds.bytes:
      return bytes.toString('base64');
    default: {
      const number = Number(BigInt.asIntN(32, varint));
      return isNull(enumType) ? null : (enumType?.names.get(number) ?? number);
    }
  }
}

/** Its one value is JSON's null. */
export function isNull(type: EnumType | null): boolean {
  return type?.name === 'google.protobuf.NullValue';
}

const int32 = [-(2n ** 31n), 2n ** 31n - 1n] as const;
const uint32 = [0n, 2n ** 32n - 1n] as const;
const int64 = [-(2n ** 63n), 2n ** 63n - 1n] as const;
const uint64 = [0n, 2n ** 64n - 1n] as const;
const ranges: Readonly<Record<number, readonly [bigint, bigint]>> = {
  [kinds.int32]: int32,
  [kinds.sint32]: int32,
  [kinds.sfixed32]: int32,
  [kinds.uint32]: uint32,
  [kinds.fixed32]: uint32,
  [kinds.int64]: int64,
  [kinds.sint64]: int64,
  [kinds.sfixed64]: int64,
  [kinds.uint64]: uint64,
  [kinds.fixed64]: uint64,
};

const decimal = /^-?(?:0|[1-9]\d*)$/;
const anyNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** More digits than any integer has here. */
const digitsMax = 40;
const unsafe = 2 ** 53;
const base64 = /^[\w+/-]*={0,2}$/;

function writeInteger(out: WireWriter, kind: number, value: bigint): void {
  if (kind === kinds.sint32 || kind === kinds.sint64) {
    out.varint(value < 0n ? -2n * value - 1n : 2n * value);
  } else if (kind === kinds.fixed32 || kind === kinds.sfixed32) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(Number(BigInt.asUintN(32, value)));
    out.raw(bytes);
  } else if (kind === kinds.fixed64 || kind === kinds.sfixed64) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
    out.raw(bytes);
  } else out.varint(value);
}

/** `1e2` and `1.0` are whole numbers too. */
function integerOf(value: unknown, [min, max]: readonly [bigint, bigint], at: string): bigint {
  const text = value instanceof NumberText ? value.text : value;
  if (typeof text !== 'string' || !anyNumber.test(text) || text.length > digitsMax) {
    throw new JsonMismatch(`${at} is no whole number`);
  }
  let number: bigint;
  if (decimal.test(text)) number = BigInt(text);
  else {
    const float = Number(text);
    if (!Number.isInteger(float) || Math.abs(float) >= unsafe) {
      throw new JsonMismatch(`${at} is no whole number`);
    }
    number = BigInt(float);
  }
  if (number < min || number > max) throw new JsonMismatch(`${at} is out of the range of its type`);
  return number;
}

function floatOf(value: unknown, single: boolean, at: string): number {
  const text = value instanceof NumberText ? value.text : value;
  if (value === 'NaN') return Number.NaN;
  if (value === 'Infinity') return Infinity;
  if (value === '-Infinity') return -Infinity;
  if (typeof text !== 'string' || !anyNumber.test(text)) {
    throw new JsonMismatch(`${at} is no number`);
  }
  const number = Number(text);
  if (!Number.isFinite(single ? Math.fround(number) : number)) {
    throw new JsonMismatch(`${at} is out of the range of its type`);
  }
  return number;
}

function base64Of(value: unknown, at: string): Buffer {
  if (typeof value !== 'string' || !base64.test(value)) {
    throw new JsonMismatch(`${at} is no base64`);
  }
  if (value.replace(/=+$/, '').length % 4 === 1) throw new JsonMismatch(`${at} is no base64`);
  return Buffer.from(value, 'base64');
}

function enumOf(value: unknown, type: EnumType, at: string): bigint {
  if (value === null && isNull(type)) return 0n;
  if (value instanceof NumberText) return integerOf(value, int32, at);
  const number = typeof value === 'string' ? type.numbers.get(value) : undefined;
  if (number === undefined) throw new JsonMismatch(`${at} is no value of ${type.name}`);
  return BigInt(number);
}

function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** The fewest digits that are that float: 0.1 and not 0.10000000149011612. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function unzigzag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}

/** Whether several of its values may stand in one field. */
export function isPackable(kind: number): boolean {
  return kind !== kinds.string && kind !== kinds.bytes && kind !== kinds.message;
}
