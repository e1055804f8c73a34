// envoy.service.auth.v3.CheckResponse: what an authorizer says by gRPC. Dynamic metadata is passed over.
import { type FieldValue, ProtobufError, readFields } from './protobuf.ts';

export interface HeaderOption {
  /** Lower-case. */
  readonly name: string;
  readonly value: string;
  /** Beside those that are there, in place of them otherwise. */
  readonly append: boolean;
}

export type CheckResponse =
  | {
      readonly allowed: true;
      readonly headers: readonly HeaderOption[];
      readonly headersToRemove: readonly string[];
      readonly responseHeaders: readonly HeaderOption[];
      readonly queryToSet: readonly (readonly [name: string, value: string])[];
      readonly queryToRemove: readonly string[];
    }
  | {
      readonly allowed: false;
      /** 0: not said. */
      readonly status: number;
      readonly headers: readonly HeaderOption[];
      readonly body: string;
    };

/** Names and values that a head cannot carry are an error, as in Envoy: they might be a request of their own. */
export function decodeCheckResponse(message: Buffer): CheckResponse {
  let code = 0;
  let denied: Buffer[] = [];
  let ok: Buffer[] = [];
  readFields(message, (field, value) => {
    if (field === 1) code = codeOf(bytesOf(value), code);
    // Of a oneof the last one counts; a message that comes in parts is one message.
    if (field === 2) [denied, ok] = [[...denied, bytesOf(value)], []];
    if (field === 3) [denied, ok] = [[], [...ok, bytesOf(value)]];
  });
  return code === 0 ? readOk(Buffer.concat(ok)) : readDenied(Buffer.concat(denied));
}

function readOk(message: Buffer): CheckResponse {
  const headers: HeaderOption[] = [];
  const headersToRemove: string[] = [];
  const responseHeaders: HeaderOption[] = [];
  const queryToSet: [string, string][] = [];
  const queryToRemove: string[] = [];
  readFields(message, (field, value) => {
    if (field === 2) headers.push(readHeader(bytesOf(value)));
    if (field === 5) headersToRemove.push(nameOf(bytesOf(value).toString('utf8')));
    if (field === 6) responseHeaders.push(readHeader(bytesOf(value)));
    if (field === 7) queryToSet.push(readPair(bytesOf(value)));
    if (field === 8) queryToRemove.push(bytesOf(value).toString('utf8'));
  });
  const edits = { headers, headersToRemove, responseHeaders, queryToSet, queryToRemove };
  return { allowed: true, ...edits };
}

function readDenied(message: Buffer): CheckResponse {
  let status = 0;
  let body = '';
  const headers: HeaderOption[] = [];
  readFields(message, (field, value) => {
    if (field === 1) status = codeOf(bytesOf(value), status);
    if (field === 2) headers.push(readHeader(bytesOf(value)));
    if (field === 3) body = bytesOf(value).toString('utf8');
  });
  return { allowed: false, status, headers, body };
}

/** The number in field 1: google.rpc.Status, envoy.type.v3.HttpStatus. */
function codeOf(message: Buffer, before: number): number {
  let code = before;
  readFields(message, (field, value) => {
    if (field === 1) code = numberOf(value);
  });
  return code;
}

/** envoy.config.core.v3.HeaderValueOption. Its append_action is passed over, as Envoy's client does. */
function readHeader(message: Buffer): HeaderOption {
  let name = '';
  let value = '';
  let append = false;
  readFields(message, (field, content) => {
    if (field === 1) [name, value] = readPair(bytesOf(content));
    if (field === 2) append = codeOf(bytesOf(content), 0) !== 0;
  });
  if (unsendable.test(value)) throw new ProtobufError(`the value of ${name} cannot be sent`);
  return { name: nameOf(name), value, append };
}

/** HeaderValue, with its raw_value, and QueryParameter. */
function readPair(message: Buffer): [name: string, value: string] {
  let name = '';
  let value = '';
  readFields(message, (field, content) => {
    if (field === 1) name = bytesOf(content).toString('utf8');
    if (field === 2 || field === 3) value = bytesOf(content).toString('utf8');
  });
  return [name, value];
}

// oxlint-disable-next-line no-control-regex
const unsendable = /[\0-\x08\x0a-\x1f\x7f]/;

function nameOf(text: string): string {
  if (!/^:?[-!#$%&'*+.^_`|~0-9a-zA-Z]+$/.test(text)) {
    throw new ProtobufError('a header has a name that cannot be sent');
  }
  return text.toLowerCase();
}

function bytesOf(value: FieldValue): Buffer {
  if (typeof value === 'number') throw new ProtobufError('a number stands for a message');
  return value;
}

function numberOf(value: FieldValue): number {
  if (typeof value !== 'number') throw new ProtobufError('a message stands for a number');
  return value;
}
