// Reads a TLS ClientHello (RFC 8446 section 4.1.2) as far as routing needs: ALPN and server name.

export interface ClientHello {
  /** Protocols of RFC 7301, in the client's order; empty without the extension. */
  readonly alpn: readonly string[];
  /** Lower-cased host name of RFC 6066 section 3; '' without one. */
  readonly sni: string;
}

/** `more`: a prefix of what may become a hello. `malformed`: never one. */
export type HelloResult =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Handshake bytes a hello may have. Post-quantum hellos have about 2 KB. */
export const helloBytesMax = 16 * 1024;

const RECORD_HEADER_BYTES = 5;
const RECORD_BYTES_MAX = 16 * 1024;
/** Nobody splits a hello like that, and all of it is read anew with each packet. */
const RECORDS_MAX = 64;
const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
const NAME_BYTES_MAX = 255;
const HOST_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/;

const MORE: HelloResult = Object.freeze({ kind: 'more' });

/** True when a first byte can only begin a TLS handshake; HTTP begins otherwise. */
export function startsTls(firstByte: number): boolean {
  return firstByte === HANDSHAKE_RECORD;
}

/**
 * Parses the bytes that a client has sent so far, from the first. A hello may be spread over
 * several records and packets; call again with more bytes when told so.
 */
export function readClientHello(bytes: Buffer): HelloResult {
  const handshake = joinRecords(bytes);
  if (typeof handshake === 'string') return malformed(handshake);
  if (handshake.length < 4) return MORE;
  if (handshake[0] !== CLIENT_HELLO) return malformed('the first handshake message is no hello');
  const length = handshake.readUIntBE(1, 3);
  if (length > helloBytesMax) return malformed(`the hello has more than ${helloBytesMax} bytes`);
  if (handshake.length < 4 + length) return MORE;
  return readHelloBody(new Cursor(handshake, 4, 4 + length));
}

/** The handshake bytes of the records, their headers cut; a string is what is wrong. */
function joinRecords(bytes: Buffer): Buffer | string {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE_RECORD) return 'a record is no handshake';
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return 'a record has no TLS version';
    if (at + RECORD_HEADER_BYTES > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > RECORD_BYTES_MAX) return 'a record is empty or too long';
    const from = at + RECORD_HEADER_BYTES;
    parts.push(bytes.subarray(from, from + length));
    at = from + length;
    if (isWhole(parts)) break;
    if (parts.length === RECORDS_MAX) return `the hello has more than ${RECORDS_MAX} records`;
  }
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}

/** What follows the hello (early data, of another record type) is not ours to read. */
function isWhole(parts: readonly Buffer[]): boolean {
  const [first] = parts;
  if (first === undefined) return false;
  const head = first.length < 4 ? Buffer.concat(parts) : first;
  if (head.length < 4) return false;
  let have = 0;
  for (const part of parts) have += part.length;
  return have >= 4 + head.readUIntBE(1, 3);
}

function readHelloBody(body: Cursor): HelloResult {
  body.skip(2 + 32); // legacy_version, random
  const sessionId = body.vector(1);
  const suites = body.vector(2);
  const compression = body.vector(1);
  if (body.failed) return malformed('the hello ends too early');
  if (sessionId.left > 32 || suites.left < 2 || suites.left % 2 !== 0 || compression.left < 1) {
    return malformed('a fixed field of the hello has an impossible length');
  }
  if (body.left === 0) return { kind: 'hello', hello: { alpn: [], sni: '' } };
  const extensions = body.vector(2);
  if (body.failed || body.left !== 0) return malformed('the extensions end too early or too late');
  return readExtensions(extensions);
}

function readExtensions(extensions: Cursor): HelloResult {
  let alpn: readonly string[] | null = null;
  let sni: string | null = null;
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (extensions.failed) return malformed('an extension ends too early');
    if (type === ALPN) {
      if (alpn !== null) return malformed('two ALPN extensions');
      alpn = readAlpn(body);
      if (alpn === null) return malformed('the ALPN extension is malformed');
    } else if (type === SERVER_NAME) {
      if (sni !== null) return malformed('two server name extensions');
      sni = readServerName(body);
      if (sni === null) return malformed('the server name is malformed');
    }
  }
  return { kind: 'hello', hello: { alpn: alpn ?? [], sni: sni ?? '' } };
}

/** RFC 7301 section 3.1: a non-empty list of non-empty names. */
function readAlpn(body: Cursor): string[] | null {
  const list = body.vector(2);
  const names: string[] = [];
  while (list.left > 0) {
    const name = list.vector(1);
    if (list.failed || name.left === 0) return null;
    names.push(name.text());
  }
  return body.failed || body.left !== 0 || names.length === 0 ? null : names;
}

/** RFC 6066 section 3: one host_name. The strict alphabet keeps control characters out of logs. */
function readServerName(body: Cursor): string | null {
  const list = body.vector(2);
  if (body.failed || body.left !== 0) return null;
  const type = list.number(1);
  const name = list.vector(2);
  if (list.failed || list.left !== 0 || type !== 0) return null;
  if (name.left === 0 || name.left > NAME_BYTES_MAX) return null;
  const text = name.text().toLowerCase();
  return HOST_NAME.test(text) ? text : null;
}

function malformed(reason: string): HelloResult {
  return { kind: 'malformed', reason };
}

/** A range of a buffer read from the front. Reading past its end fails it for good. */
class Cursor {
  failed = false;
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, from: number, end: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
  }

  get left(): number {
    return this.failed ? 0 : this.#end - this.#at;
  }

  skip(count: number): void {
    if (this.#at + count > this.#end) this.failed = true;
    else this.#at += count;
  }

  number(bytes: 1 | 2): number {
    const from = this.#at;
    this.skip(bytes);
    return this.failed ? 0 : this.#bytes.readUIntBE(from, bytes);
  }

  /** A vector of RFC 8446 section 3.4: its length in `lengthBytes`, then its content. */
  vector(lengthBytes: 1 | 2): Cursor {
    const length = this.number(lengthBytes);
    const from = this.#at;
    this.skip(length);
    return new Cursor(this.#bytes, from, this.failed ? from : from + length);
  }

  text(): string {
    return this.#bytes.toString('latin1', this.#at, this.#end);
  }
}
