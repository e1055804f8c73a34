// Turns a body of one type into one of the other.
import { NotXml, readXml } from './xml-read.ts';
import { writeXml } from './xml-write.ts';

/** Null: it is no XML in UTF-8, or more than is read of it. */
export function xmlToJson(body: Buffer): Buffer | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    return Buffer.from(JSON.stringify(readXml(text)));
  } catch (error) {
    if (error instanceof NotXml || error instanceof TypeError) return null;
    throw error;
  }
}

/** Null: it is no JSON, or has what XML cannot say. Numbers stay as they are written. */
export function jsonToXml(body: Buffer, rootName: string): Buffer | null {
  try {
    const value: unknown = JSON.parse(body.toString(), asWritten);
    return Buffer.from(writeXml(value, rootName));
  } catch (error) {
    // The last one: nested deeper than there is stack.
    const expected = [NotXml, SyntaxError, RangeError].some((kind) => error instanceof kind);
    if (expected) return null;
    throw error;
  }
}

function asWritten(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' ? (context?.source ?? value) : value;
}
