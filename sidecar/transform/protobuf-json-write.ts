// A protobuf message that is known by its descriptor, as JSON (the JSON mapping of proto3).
import { ProtobufError } from '../authorizer/protobuf.ts';
import { type FieldType, kinds, type MessageType } from './protobuf-descriptor.ts';
import { depthMax, type JsonObject, wrappers } from './protobuf-json-read.ts';
import { isPackable, scalarOf } from './protobuf-scalar.ts';
import { type Times, writeDuration, writeFieldMask, writeTimestamp } from './protobuf-times.ts';
import { wire, type WireField, WireReader, wireTypeOf } from './protobuf-wire.ts';

const none: Buffer = Buffer.alloc(0);

type Writer = (bytes: Buffer, depth: number) => unknown;

/** What is written as something else than an object of fields. */
const writers: ReadonlyMap<string, Writer> = new Map(
  Object.entries<Writer>({
    'google.protobuf.Timestamp': (bytes) => writeTimestamp(timesOf(bytes)),
    'google.protobuf.Duration': (bytes) => writeDuration(timesOf(bytes)),
    'google.protobuf.FieldMask': (bytes) =>
      writeFieldMask(fieldsOf(bytes).flatMap((one) => (one.number === 1 ? String(one.bytes) : []))),
    'google.protobuf.Struct': structOf,
    'google.protobuf.ListValue': listOf,
    'google.protobuf.Value': valueOf,
    'google.protobuf.Any': () => {
      throw new ProtobufError('the answer has a google.protobuf.Any, which is not transcoded');
    },
  }),
);

/** @returns what JSON.stringify writes. Throws ProtobufError */
export function writeMessage(type: MessageType, bytes: Buffer, depth = 0): unknown {
  checkDepth(depth);
  const kind = wrappers.get(type.name);
  if (kind !== undefined) {
    const last = fieldsOf(bytes).findLast((one) => isOf(one, 1, kind));
    return scalarOf({ kind, enumType: null }, last ?? zeroOf(kind));
  }
  const writer = writers.get(type.name);
  if (writer !== undefined) return writer(bytes, depth);
  const json = emptyObject();
  const oneofs = new Map<number, FieldType>();
  /** A message that comes in several pieces is all of them (one after another: they merge). */
  const messages = new Map<FieldType, Buffer[]>();
  for (const one of fieldsOf(bytes)) {
    const field = type.fields.get(one.number);
    if (field === undefined) continue;
    if (field.repeated) addRepeated(json, field, one, depth);
    else if (one.type === wireTypeOf(field.kind)) {
      const before = oneofs.get(field.oneof);
      if (before !== undefined && before !== field) {
        messages.delete(before);
        delete json[before.jsonName];
      }
      if (field.oneof >= 0) oneofs.set(field.oneof, field);
      if (field.message === null) json[field.jsonName] = scalarOf(field, one);
      else {
        const pieces = messages.get(field);
        if (pieces === undefined) messages.set(field, [one.bytes]);
        else pieces.push(one.bytes);
      }
    }
  }
  for (const [{ message, jsonName }, pieces] of messages) {
    if (message !== null) json[jsonName] = writeMessage(message, Buffer.concat(pieces), depth + 1);
  }
  return json;
}

function addRepeated(json: JsonObject, field: FieldType, one: WireField, depth: number): void {
  const { kind, message, jsonName } = field;
  const wanted = wireTypeOf(kind);
  if (message?.isMapEntry === true) {
    if (one.type !== wire.bytes) return;
    const map = (json[jsonName] ??= emptyObject()) as JsonObject;
    const [key, value] = entryOf(message, one.bytes, depth);
    map[key] = value;
    return;
  }
  const list = (json[jsonName] ??= []) as unknown[];
  if (one.type === wanted) {
    list.push(
      message === null ? scalarOf(field, one) : writeMessage(message, one.bytes, depth + 1),
    );
  } else if (one.type === wire.bytes && isPackable(kind)) {
    const packed = new WireReader(one.bytes);
    while (!packed.done) {
      const varint = wanted === wire.varint ? packed.varint() : 0n;
      const bytes = wanted === wire.varint ? none : packed.value(wanted);
      list.push(scalarOf(field, { number: 0, type: wanted, varint, bytes }));
    }
  }
}

function entryOf(entry: MessageType, bytes: Buffer, depth: number): [string, unknown] {
  const keyField = entry.fields.get(1);
  const valueField = entry.fields.get(2);
  if (keyField === undefined || valueField === undefined) {
    throw new ProtobufError(`${entry.name} is no entry of a map`);
  }
  const fields = fieldsOf(bytes);
  const key = fields.findLast((one) => isOf(one, 1, keyField.kind)) ?? zeroOf(keyField.kind);
  const value = fields.findLast((one) => isOf(one, 2, valueField.kind)) ?? zeroOf(valueField.kind);
  const { message } = valueField;
  const json =
    message === null ? scalarOf(valueField, value) : writeMessage(message, value.bytes, depth + 1);
  return [String(scalarOf(keyField, key)), json];
}

function fieldsOf(bytes: Buffer): WireField[] {
  const reader = new WireReader(bytes);
  const fields: WireField[] = [];
  while (!reader.done) fields.push(reader.field());
  return fields;
}

function isOf(one: WireField, number: number, kind: number): boolean {
  return one.number === number && one.type === wireTypeOf(kind);
}

/** What stands for a field that is not there. */
function zeroOf(kind: number): WireField {
  const type = wireTypeOf(kind);
  const length = type === wire.fixed64 ? 8 : type === wire.fixed32 ? 4 : 0;
  return { number: 0, type, varint: 0n, bytes: Buffer.alloc(length) };
}

function timesOf(bytes: Buffer): Times {
  const fields = fieldsOf(bytes);
  const at = (number: number): bigint =>
    fields.findLast((one) => isOf(one, number, kinds.int64))?.varint ?? 0n;
  return [BigInt.asIntN(64, at(1)), Number(BigInt.asIntN(32, at(2)))];
}

function structOf(bytes: Buffer, depth: number): JsonObject {
  const json = emptyObject();
  for (const one of fieldsOf(bytes)) {
    if (!isOf(one, 1, kinds.message)) continue;
    const entry = fieldsOf(one.bytes);
    const value = entry.findLast((part) => isOf(part, 2, kinds.message));
    const key = String(entry.findLast((part) => isOf(part, 1, kinds.string))?.bytes ?? '');
    json[key] = valueOf(value?.bytes ?? none, depth + 1);
  }
  return json;
}

function listOf(bytes: Buffer, depth: number): unknown[] {
  const values = fieldsOf(bytes).filter((one) => isOf(one, 1, kinds.message));
  return values.map((one) => valueOf(one.bytes, depth + 1));
}

function valueOf(bytes: Buffer, depth: number): unknown {
  checkDepth(depth);
  const one = fieldsOf(bytes).findLast(({ number }) => number >= 1 && number <= 6);
  if (one === undefined || isOf(one, 1, kinds.enum)) return null;
  if (isOf(one, 2, kinds.double)) {
    const number = one.bytes.readDoubleLE();
    if (Number.isFinite(number)) return number;
    throw new ProtobufError('a google.protobuf.Value has a number that JSON has not');
  }
  if (isOf(one, 3, kinds.string)) return scalarOf({ kind: kinds.string, enumType: null }, one);
  if (isOf(one, 4, kinds.bool)) return one.varint !== 0n;
  if (isOf(one, 5, kinds.message)) return structOf(one.bytes, depth);
  if (isOf(one, 6, kinds.message)) return listOf(one.bytes, depth);
  throw new ProtobufError('a google.protobuf.Value is of no type');
}

function checkDepth(depth: number): void {
  if (depth <= depthMax) return;
  throw new ProtobufError(`the answer is deeper than ${depthMax} messages`);
}

/** Whatever names come, none means anything to it. */
function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject;
}
