// JSON to a protobuf message that is known by its descriptor (the JSON mapping of proto3).
import { type FieldType, kinds, type MessageType } from './protobuf-descriptor.ts';
import { isNull, isPackable, JsonMismatch, NumberText, writeScalar } from './protobuf-scalar.ts';
import { readDuration, readFieldMask, readTimestamp, type Times } from './protobuf-times.ts';
import { wire, wireTypeOf, WireWriter } from './protobuf-wire.ts';

/** Numbers stay as they are written. Throws SyntaxError, or RangeError for what is nested too deep. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value,
  );
}

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && !(value instanceof NumberText);
}

/** Fields `value` of google.protobuf's wrappers. */
export const wrappers: ReadonlyMap<string, number> = new Map([
  ['google.protobuf.DoubleValue', kinds.double],
  ['google.protobuf.FloatValue', kinds.float],
  ['google.protobuf.Int64Value', kinds.int64],
  ['google.protobuf.UInt64Value', kinds.uint64],
  ['google.protobuf.Int32Value', kinds.int32],
  ['google.protobuf.UInt32Value', kinds.uint32],
  ['google.protobuf.BoolValue', kinds.bool],
  ['google.protobuf.StringValue', kinds.string],
  ['google.protobuf.BytesValue', kinds.bytes],
]);
export const depthMax = 100;

type Reader = (value: unknown, at: string, depth: number) => Buffer;

/** What is read as something else than an object of fields. */
const readers: ReadonlyMap<string, Reader> = new Map(
  Object.entries<Reader>({
    'google.protobuf.Timestamp': (value, at) => timesOf(readTimestamp(value, at)),
    'google.protobuf.Duration': (value, at) => timesOf(readDuration(value, at)),
    'google.protobuf.FieldMask': (value, at) => {
      const out = new WireWriter();
      for (const path of readFieldMask(value, at)) out.key(1, wire.bytes).bytes(Buffer.from(path));
      return out.finish();
    },
    'google.protobuf.Struct': structOf,
    'google.protobuf.ListValue': listOf,
    'google.protobuf.Value': valueOf,
    'google.protobuf.Any': (_value, at) => {
      throw new JsonMismatch(`${at} is a google.protobuf.Any, which is not transcoded`);
    },
  }),
);

/** Whether its value is written in JSON by itself, not as an object of its fields. */
export function isWellKnown({ name }: MessageType): boolean {
  return wrappers.has(name) || readers.has(name);
}

/** @param at names the message in what is thrown: JsonMismatch */
export function readMessage(
  type: MessageType,
  value: unknown,
  ignoreUnknown: boolean,
  at = 'the body',
  depth = 0,
): Buffer {
  if (depth > depthMax) throw new JsonMismatch(`the body is deeper than ${depthMax} messages`);
  const out = new WireWriter();
  const kind = wrappers.get(type.name);
  if (kind !== undefined) {
    out.key(1, wireTypeOf(kind));
    writeScalar(out, { kind, enumType: null }, value, at);
    return out.finish();
  }
  const reader = readers.get(type.name);
  if (reader !== undefined) return reader(value, at, depth);
  if (!isJsonObject(value)) throw new JsonMismatch(`${at} is no object`);
  const seen = new Set<FieldType>();
  const oneofs = new Map<number, string>();
  for (const [name, one] of Object.entries(value)) {
    const field = type.named.get(name);
    const place = depth === 0 ? name : `${at}.${name}`;
    if (field === undefined) {
      if (ignoreUnknown) continue;
      throw new JsonMismatch(`${place} is no field of ${type.name}`);
    }
    if (seen.has(field)) throw new JsonMismatch(`${place} is there twice`);
    seen.add(field);
    if (one === null && !takesNull(field)) continue;
    const other = oneofs.get(field.oneof);
    if (other !== undefined) throw new JsonMismatch(`${place} excludes ${other}`);
    if (field.oneof >= 0) oneofs.set(field.oneof, name);
    writeField(out, field, one, { ignoreUnknown, at: place, depth });
  }
  return out.finish();
}

interface Place {
  readonly ignoreUnknown: boolean;
  readonly at: string;
  readonly depth: number;
}

function writeField(out: WireWriter, field: FieldType, value: unknown, place: Place): void {
  const { number, kind, message, repeated } = field;
  if (!repeated) writeOne(out, field, value, place);
  else if (message?.isMapEntry === true) writeMap(out, field, message, value, place);
  else if (!Array.isArray(value)) throw new JsonMismatch(`${place.at} is no array`);
  else if (field.packed && isPackable(kind)) {
    const packed = new WireWriter();
    for (const [i, one] of value.entries()) writeScalar(packed, field, one, `${place.at}[${i}]`);
    if (value.length > 0) out.key(number, wire.bytes).bytes(packed.finish());
  } else {
    for (const [i, one] of value.entries()) {
      writeOne(out, field, one, { ...place, at: `${place.at}[${i}]` });
    }
  }
}

function writeOne(out: WireWriter, field: FieldType, value: unknown, place: Place): void {
  const { number, kind, message } = field;
  out.key(number, wireTypeOf(kind));
  if (message === null) writeScalar(out, field, value, place.at);
  else {
    const { ignoreUnknown, at, depth } = place;
    out.bytes(readMessage(message, value, ignoreUnknown, at, depth + 1));
  }
}

function writeMap(
  out: WireWriter,
  { number }: FieldType,
  entry: MessageType,
  value: unknown,
  place: Place,
): void {
  const keyField = entry.fields.get(1);
  const valueField = entry.fields.get(2);
  if (!isJsonObject(value) || keyField === undefined || valueField === undefined) {
    throw new JsonMismatch(`${place.at} is no object`);
  }
  for (const [name, one] of Object.entries(value)) {
    const at = `${place.at}[${JSON.stringify(name)}]`;
    const inside = new WireWriter();
    inside.key(1, wireTypeOf(keyField.kind));
    writeScalar(inside, keyField, keyField.kind === kinds.bool ? booleanOf(name) : name, at);
    writeOne(inside, valueField, one, { ...place, at });
    out.key(number, wire.bytes).bytes(inside.finish());
  }
}

/** Null is a value of its own there; elsewhere it is as if the field were not there. */
function takesNull({ message, enumType, repeated }: FieldType): boolean {
  return !repeated && (message?.name === 'google.protobuf.Value' || isNull(enumType));
}

/** What is neither stays what it is, and is refused as no boolean. */
export function booleanOf(text: string): boolean | string {
  return text === 'true' ? true : text === 'false' ? false : text;
}

function timesOf([seconds, nanos]: Times): Buffer {
  const out = new WireWriter().key(1, wire.varint).varint(seconds);
  return out.key(2, wire.varint).varint(BigInt(nanos)).finish();
}

function structOf(value: unknown, at: string, depth: number): Buffer {
  if (!isJsonObject(value)) throw new JsonMismatch(`${at} is no object`);
  const out = new WireWriter();
  for (const [name, one] of Object.entries(value)) {
    if (!name.isWellFormed()) throw new JsonMismatch(`${at} has half a character`);
    const entry = new WireWriter().key(1, wire.bytes).bytes(Buffer.from(name));
    entry.key(2, wire.bytes).bytes(valueOf(one, `${at}.${name}`, depth + 1));
    out.key(1, wire.bytes).bytes(entry.finish());
  }
  return out.finish();
}

function listOf(value: unknown, at: string, depth: number): Buffer {
  if (!Array.isArray(value)) throw new JsonMismatch(`${at} is no array`);
  const out = new WireWriter();
  for (const [i, one] of value.entries()) {
    out.key(1, wire.bytes).bytes(valueOf(one, `${at}[${i}]`, depth + 1));
  }
  return out.finish();
}

function valueOf(value: unknown, at: string, depth: number): Buffer {
  if (depth > depthMax) throw new JsonMismatch(`the body is deeper than ${depthMax} messages`);
  const out = new WireWriter();
  const scalar = (number: number, kind: number): Buffer => {
    out.key(number, wireTypeOf(kind));
    writeScalar(out, { kind, enumType: null }, value, at);
    return out.finish();
  };
  if (value === null) return out.key(1, wire.varint).varint(0n).finish();
  if (value instanceof NumberText) return scalar(2, kinds.double);
  if (typeof value === 'string') return scalar(3, kinds.string);
  if (typeof value === 'boolean') return scalar(4, kinds.bool);
  const isList = Array.isArray(value);
  const inside = isList ? listOf(value, at, depth) : structOf(value, at, depth);
  return out
    .key(isList ? 6 : 5, wire.bytes)
    .bytes(inside)
    .finish();
}
