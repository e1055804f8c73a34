// Reads a FileDescriptorSet: messages, enums and services by their full names, as much as transcoding needs of them.
import { ProtobufError, readFields, type FieldValue } from '../authorizer/protobuf.ts';

export interface Descriptors {
  readonly messages: ReadonlyMap<string, MessageType>;
  readonly services: ReadonlyMap<string, readonly MethodType[]>;
}

export interface MessageType {
  /** `pkg.Outer.Inner`. */
  readonly name: string;
  readonly fields: Map<number, FieldType>;
  /** Under the name of JSON and the original one. */
  readonly named: Map<string, FieldType>;
  readonly isMapEntry: boolean;
}

export interface FieldType {
  readonly number: number;
  readonly name: string;
  readonly jsonName: string;
  /** FieldDescriptorProto.Type: the numbers of `kinds`. */
  readonly kind: number;
  readonly repeated: boolean;
  readonly packed: boolean;
  /** Index of the oneof among those of the message; -1: in none. */
  readonly oneof: number;
  /** What the field is of, for messages and enums. */
  readonly typeName: string;
  message: MessageType | null;
  enumType: EnumType | null;
}

export interface EnumType {
  readonly name: string;
  readonly numbers: ReadonlyMap<string, number>;
  readonly names: ReadonlyMap<number, string>;
}

export interface MethodType {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly streams: boolean;
  /** `google.api.http`, as bytes; null: none. */
  readonly http: Buffer | null;
}

/** FieldDescriptorProto.Type. */
export const kinds = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  group: 10,
  message: 11,
  bytes: 12,
  uint32: 13,
  enum: 14,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
} as const;

const repeatedLabel = 3;
const httpExtension = 72_295_728;
const nestingMax = 64;

interface Known {
  readonly messages: Map<string, MessageType>;
  readonly enums: Map<string, EnumType>;
  readonly services: Map<string, MethodType[]>;
}

/** Throws an error that says what is wrong with the set. */
export function readDescriptors(set: Buffer): Descriptors {
  const known: Known = { messages: new Map(), enums: new Map(), services: new Map() };
  readFields(set, (field, value) => {
    if (field === 1) readFile(bytesOf(value), known);
  });
  for (const message of known.messages.values()) {
    for (const field of message.fields.values()) link(message, field, known);
  }
  return known;
}

function link(message: MessageType, field: FieldType, { messages, enums }: Known): void {
  const { kind, typeName } = field;
  if (kind === kinds.message) field.message = resolve(typeName, message.name, messages);
  if (kind === kinds.enum) field.enumType = resolve(typeName, message.name, enums);
  if (kind === kinds.group) throw new ProtobufError(`${message.name}.${field.name} is a group`);
  const linked = field.message !== null || field.enumType !== null;
  if ((kind === kinds.message || kind === kinds.enum) && !linked) {
    throw new ProtobufError(
      `${typeName}, the type of ${message.name}.${field.name}, is not in the set: make it with --include_imports`,
    );
  }
}

/** A name that begins with a dot is whole; another is looked for from the inside out. */
function resolve<T>(name: string, within: string, types: ReadonlyMap<string, T>): T | null {
  if (name.startsWith('.')) return types.get(name.slice(1)) ?? null;
  const scopes = within.split('.');
  for (let depth = scopes.length; depth > 0; depth -= 1) {
    const scope = scopes.slice(0, depth).join('.');
    const found = types.get(`${scope}.${name}`);
    if (found !== undefined) return found;
  }
  return types.get(name) ?? null;
}

function readFile(file: Buffer, known: Known): void {
  let scope = '';
  let packs = false;
  readFields(file, (field, value) => {
    if (field === 2) scope = textOf(value);
    if (field === 12) packs = textOf(value) !== 'proto2';
  });
  readFields(file, (field, value) => {
    if (field === 4) readMessage(bytesOf(value), scope, packs, known, 0);
    if (field === 5) readEnum(bytesOf(value), scope, known);
    if (field === 6) readService(bytesOf(value), scope, known);
  });
}

function readMessage(
  bytes: Buffer,
  scope: string,
  packs: boolean,
  known: Known,
  depth: number,
): void {
  if (depth > nestingMax) throw new ProtobufError('messages are nested too deep');
  const name = full(scope, nameIn(bytes));
  const fields = new Map<number, FieldType>();
  const named = new Map<string, FieldType>();
  let isMapEntry = false;
  readFields(bytes, (field, value) => {
    if (field === 2) {
      const one = readField(bytesOf(value), packs);
      fields.set(one.number, one);
      named.set(one.name, one);
    } else if (field === 3) readMessage(bytesOf(value), name, packs, known, depth + 1);
    else if (field === 4) readEnum(bytesOf(value), name, known);
    else if (field === 7) {
      readFields(bytesOf(value), (option, set) => {
        if (option === 7) isMapEntry = set === 1;
      });
    }
  });
  for (const field of fields.values()) named.set(field.jsonName, field);
  known.messages.set(name, { name, fields, named, isMapEntry });
}

function readField(bytes: Buffer, packs: boolean): FieldType {
  const texts = new Map<number, string>();
  const numbers = new Map<number, number>();
  let packed = packs;
  readFields(bytes, (field, value) => {
    if (typeof value === 'number') numbers.set(field, value);
    else if (field !== 8) texts.set(field, value.toString());
    else {
      readFields(value, (option, set) => {
        if (option === 2) packed = set === 1;
      });
    }
  });
  const name = texts.get(1) ?? '';
  const kind = numbers.get(5) ?? 0;
  const number = numbers.get(3) ?? 0;
  if (name === '' || number <= 0 || kind < 1 || kind > 18) {
    throw new ProtobufError(`the field "${name}" has no name, number or type`);
  }
  return {
    number,
    name,
    jsonName: texts.get(10) ?? jsonNameOf(name),
    kind,
    repeated: numbers.get(4) === repeatedLabel,
    packed,
    oneof: numbers.get(17) === 1 ? -1 : (numbers.get(9) ?? -1),
    typeName: texts.get(6) ?? '',
    message: null,
    enumType: null,
  };
}

function readEnum(bytes: Buffer, scope: string, { enums }: Known): void {
  const numbers = new Map<string, number>();
  const names = new Map<number, string>();
  readFields(bytes, (field, value) => {
    if (field !== 2) return;
    const name = nameIn(bytesOf(value));
    let number = 0;
    readFields(bytesOf(value), (part, set) => {
      if (part === 2 && typeof set === 'number') number = set;
    });
    numbers.set(name, number);
    if (!names.has(number)) names.set(number, name);
  });
  const name = full(scope, nameIn(bytes));
  enums.set(name, { name, numbers, names });
}

function readService(bytes: Buffer, scope: string, { services }: Known): void {
  const methods: MethodType[] = [];
  readFields(bytes, (field, value) => {
    if (field === 2) methods.push(readMethod(bytesOf(value)));
  });
  services.set(full(scope, nameIn(bytes)), methods);
}

function readMethod(bytes: Buffer): MethodType {
  const texts = new Map<number, string>();
  let streams = false;
  let http: Buffer | null = null;
  readFields(bytes, (field, value) => {
    if (field === 5 || field === 6) streams ||= value === 1;
    else if (field !== 4) texts.set(field, textOf(value));
    else {
      readFields(bytesOf(value), (option, set) => {
        if (option === httpExtension) http = bytesOf(set);
      });
    }
  });
  const typeAt = (field: number): string => (texts.get(field) ?? '').replace(/^\./, '');
  return { name: texts.get(1) ?? '', input: typeAt(2), output: typeAt(3), streams, http };
}

/** As protoc makes it of a name: `foo_bar` is `fooBar`. */
function jsonNameOf(name: string): string {
  return name.replaceAll(/_([a-z0-9A-Z])?/g, (_all, next: string = '') => next.toUpperCase());
}

/** The first field of most descriptors. */
function nameIn(bytes: Buffer): string {
  let name = '';
  readFields(bytes, (field, value) => {
    if (field === 1) name = textOf(value);
  });
  return name;
}

function full(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

export function bytesOf(value: FieldValue): Buffer {
  if (typeof value === 'number') throw new ProtobufError('a number stands where a message should');
  return value;
}

export function textOf(value: FieldValue): string {
  return bytesOf(value).toString();
}
