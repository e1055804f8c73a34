// Puts what a path and a query say into the JSON of a message, field by field.
import { type FieldType, kinds, type MessageType } from './protobuf-descriptor.ts';
import {
  booleanOf,
  isJsonObject,
  isWellKnown,
  type JsonObject,
  wrappers,
} from './protobuf-json-read.ts';
import { JsonMismatch, NumberText } from './protobuf-scalar.ts';

/** Well-known messages that are one string in JSON. */
const texts: ReadonlySet<string> = new Set(
  ['Timestamp', 'Duration', 'FieldMask'].map((name) => `google.protobuf.${name}`),
);

/**
 * Sets one field, in place of what is there, or behind it where it is repeated.
 * @param path names of fields, either way of writing: `book.authorName`
 * @param once it may not be repeated
 * @returns false: there is no such field. Throws JsonMismatch
 */
export function bindText(
  type: MessageType,
  json: JsonObject,
  path: string,
  text: string,
  once: boolean,
): boolean {
  const steps = path.split('.');
  let holder = json;
  let holderType = type;
  for (const [i, step] of steps.entries()) {
    const field = holderType.named.get(step);
    if (field === undefined) {
      if (once) throw new JsonMismatch(`${holderType.name} has no field ${step}`);
      return false;
    }
    const before = takeOut(holder, field);
    if (i === steps.length - 1) {
      const value = valueOf(field, text, path);
      if (field.repeated && once) throw new JsonMismatch(`${path} is repeated`);
      if (field.repeated) holder[field.jsonName] = [...arrayOf(before, path), value];
      else holder[field.jsonName] = value;
      return true;
    }
    if (field.message === null || field.repeated || isWellKnown(field.message)) {
      throw new JsonMismatch(`${path} goes into ${step}, which has no fields`);
    }
    const inside = before ?? {};
    if (!isJsonObject(inside)) throw new JsonMismatch(`${step} is no object`);
    holder[field.jsonName] = inside;
    holder = inside;
    holderType = field.message;
  }
  return true;
}

/** What the field has, under either name. */
function takeOut(holder: JsonObject, { name, jsonName }: FieldType): unknown {
  const value = Object.hasOwn(holder, jsonName) ? holder[jsonName] : holder[name];
  if (jsonName !== name) delete holder[name];
  return value;
}

function arrayOf(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new JsonMismatch(`${path} is no array`);
  return value as unknown[];
}

/** As the JSON mapping has it: only of booleans and numbers of enums is a string none. */
function valueOf({ kind, message, enumType }: FieldType, text: string, path: string): unknown {
  const scalar = message === null ? kind : wrappers.get(message.name);
  if (scalar === kinds.bool) return booleanOf(text);
  if (enumType !== null && /^-?\d{1,10}$/.test(text)) return new NumberText(text);
  if (scalar !== undefined || texts.has(message?.name ?? '')) return text;
  throw new JsonMismatch(`${path} is a message: only its fields can be set so`);
}
