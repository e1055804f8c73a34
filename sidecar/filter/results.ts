// Reads what a user's filter gives back. It may be anything, so nothing of it is believed.
import { FilterFailure } from './host.ts';

export interface Edits {
  readonly path: string | null;
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

type Fields = Readonly<Record<string, unknown>>;

/** Null: it lets pass. Throws FilterFailure for what is neither edits nor an answer. */
export function readRequestResult(result: unknown): Edits | Answer | null {
  if (result === undefined || result === null) return null;
  const fields = fieldsOf(result, 'the result');
  return fields['respond'] === undefined ? editsOf(fields) : answerOf(fields['respond']);
}

export function readResponseResult(result: unknown): Edits | null {
  if (result === undefined || result === null) return null;
  return editsOf(fieldsOf(result, 'the result'));
}

function editsOf({ path, headers, body }: Fields): Edits {
  if (path !== undefined && (typeof path !== 'string' || !/^\/[\x21\x22\x24-\x7e]*$/.test(path))) {
    throw new FilterFailure('path is no path');
  }
  const { remove, set, add } = headers === undefined ? {} : fieldsOf(headers, 'headers');
  if (remove !== undefined && !(Array.isArray(remove) && remove.every(isName))) {
    throw new FilterFailure('headers.remove is no list of header names');
  }
  return {
    path: path ?? null,
    remove: ((remove ?? []) as string[]).map((name) => name.toLowerCase()),
    set: linesOf(set, 'headers.set'),
    add: linesOf(add, 'headers.add'),
    body: body === undefined ? null : bytesOf(body),
  };
}

function answerOf(respond: unknown): Answer {
  const { status, headers, body } = fieldsOf(respond, 'respond');
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    throw new FilterFailure('respond.status is no status from 200 to 599');
  }
  return { status, headers: linesOf(headers, 'respond.headers'), body: bytesOf(body ?? '') };
}

function linesOf(value: unknown, what: string): [string, string][] {
  if (value === undefined) return [];
  return Object.entries(fieldsOf(value, what)).map(([name, text]) => {
    if (!isName(name) || typeof text !== 'string' || /[\0\r\n]/.test(text)) {
      throw new FilterFailure(`${what} has what is no header`);
    }
    return [name.toLowerCase(), text];
  });
}

function bytesOf(body: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.length);
  throw new FilterFailure('body is neither text nor bytes');
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new FilterFailure(`${what} is no object`);
}

function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(name);
}
