// What a connection's first bytes show: a TLS hello, HTTP, or something else.
import type { Socket } from 'node:net';

import { readClientHello, startsTls, type ClientHello } from './tls-hello.ts';

/** How a connection begins. */
export type Opening =
  | { readonly kind: 'tls'; readonly hello: ClientHello }
  | { readonly kind: 'plaintext'; readonly looksLike: 'http1' | 'http2' | 'other' }
  | { readonly kind: 'malformed'; readonly reason: string };

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const METHOD_BYTES_MAX = 32;
/** A line that is legal so far is then taken for HTTP. */
const LINE_BYTES_MAX = 2048;
const VERSION = 'HTTP/1.';
const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const target = /^(?:[/*]|[a-z][a-z\d+.-]*:\/\/)[\t\f!-~]*$/i;
const targetBegun = /^(?:[a-z][a-z\d+.-]*(?::\/?)?)?$/i;

const http1: Opening = Object.freeze({ kind: 'plaintext', looksLike: 'http1' });
const http2: Opening = Object.freeze({ kind: 'plaintext', looksLike: 'http2' });
const other: Opening = Object.freeze({ kind: 'plaintext', looksLike: 'other' });

/**
 * Tells how a connection begins; null: more bytes are needed.
 * @param detectHttp false: whether plaintext is HTTP does not matter, the port declares it
 */
export function readOpening(bytes: Buffer, detectHttp: boolean): Opening | null {
  const [first] = bytes;
  if (first === undefined) return null;
  if (!startsTls(first)) return detectHttp ? classify(bytes) : other;
  const result = readClientHello(bytes);
  if (result.kind === 'more') return null;
  return result.kind === 'hello' ? { kind: 'tls', hello: result.hello } : result;
}

/** Anything but HTTP is bytes, judged by the TCP rules. */
function classify(bytes: Buffer): Opening | null {
  const preface = Math.min(bytes.length, PREFACE.length);
  if (bytes.subarray(0, preface).equals(PREFACE.subarray(0, preface))) {
    // Until it is whole it may still become a request line, of a POST or of anything else.
    return preface === PREFACE.length ? http2 : null;
  }
  return classifyLine(bytes.toString('latin1', 0, LINE_BYTES_MAX));
}

/** As Envoy's HTTP inspector: a request line of HTTP/1, whatever its method; some are bad ones. */
function classifyLine(text: string): Opening | null {
  const [method = '', rest, version] = text.split(' ', 3);
  const full = text.length === LINE_BYTES_MAX;
  if (!token.test(method) || method.length > METHOD_BYTES_MAX) return other;
  if (rest === undefined) return null;
  if (!target.test(rest)) {
    return version === undefined && !full && targetBegun.test(rest) ? null : other;
  }
  if (version === undefined) return full ? http1 : null;
  if (!VERSION.startsWith(version.slice(0, VERSION.length))) return other;
  return version.length < VERSION.length && !full ? null : http1;
}

/** Of a socket that is still read from. */
export interface Reading {
  /** Nothing has come yet. */
  readonly silent: boolean;
  /** Time is up already. */
  giveUp(): void;
}

/**
 * Reads from a socket until `read` knows enough. `done` gets null when the peer ended first or
 * said too little within `timeoutMs` (0: it may take for ever), and in any case all bytes read so
 * far. A socket that fails is never heard of here: its own `close` tells.
 */
export function readFirstBytes<T>(
  socket: Socket,
  timeoutMs: number,
  read: (bytes: Buffer) => T | null,
  done: (result: T | null, bytes: Buffer) => void,
): Reading {
  let bytes: Buffer = Buffer.alloc(0);
  let settled = false;
  let expired: NodeJS.Immediate | undefined;
  const settle = (result: T | null): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    clearImmediate(expired);
    socket.off('readable', onReadable);
    socket.off('end', onEnd);
    socket.off('close', onClose);
    done(result, bytes);
  };
  const onReadable = (): void => {
    for (let chunk = take(socket); chunk !== null; chunk = take(socket)) {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const result = read(bytes);
      if (result !== null) return settle(result);
    }
    return undefined;
  };
  const onEnd = (): void => settle(null);
  const onClose = (): void => {
    settled = true;
    clearTimeout(timer);
    clearImmediate(expired);
  };
  const expire = (): void => {
    // After a stall timers come first: what has arrived meanwhile is read before time is up.
    expired = setImmediate(settle, null);
  };
  const timer = timeoutMs === 0 ? undefined : setTimeout(expire, timeoutMs).unref();
  socket.on('readable', onReadable);
  socket.once('end', onEnd);
  socket.once('close', onClose);
  return {
    get silent() {
      return !settled && bytes.length === 0;
    },
    giveUp: () => settle(null),
  };
}

function take(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
