// One JSON call over HTTP/2 and TLS, to a peer of the mesh (CA, control): own trust, own identity check, a deadline.
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import type { PeerCertificate } from 'node:tls';

import { connectTimeoutMs, whenConnectIsLate } from './connect-deadline.ts';

export interface JsonCall {
  /** https only. */
  readonly url: string | URL;
  readonly method: 'GET' | 'POST';
  /** Sent as JSON; undefined: no body. */
  readonly body?: unknown;
  readonly bearer?: string;
  /** PEM of the roots to trust, and of no others. */
  readonly ca: string;
  /** Our own certificate, PEM, where the peer asks for one. */
  readonly key?: string;
  readonly cert?: string;
  /** From the first byte to the last, with the TLS handshake. */
  readonly timeoutMs: number;
  /** Instead of the comparison of host names; an Error refuses the peer. */
  readonly checkIdentity?: (peer: PeerCertificate) => Error | undefined;
  /** Larger replies fail; 1 MiB where it is left out. */
  readonly replyBytesMax?: number;
}

export interface JsonReply {
  readonly status: number;
  /** Parsed where the content type is JSON, else the text. */
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
}

/** Makes one call on a connection of its own; rejects when no whole reply arrives in time. */
export async function requestJson(call: JsonCall): Promise<JsonReply> {
  const url = new URL(call.url);
  if (url.protocol !== 'https:') throw new Error(`${url.href}: https is wanted`);
  const { promise, resolve, reject } = Promise.withResolvers<JsonReply>();
  const { checkIdentity } = call;
  const session = connect(url.origin, {
    ca: call.ca,
    key: call.key,
    cert: call.cert,
    minVersion: 'TLSv1.2',
    ...(checkIdentity && {
      checkServerIdentity: (_host: string, peer: PeerCertificate) => checkIdentity(peer),
    }),
  });
  const timer = setTimeout(() => {
    reject(new Error(`${url.host} did not answer within ${call.timeoutMs} ms`));
  }, call.timeoutMs);
  whenConnectIsLate(session, Math.min(connectTimeoutMs, call.timeoutMs), (reason) => {
    reject(new Error(`${url.host}: ${reason}`));
  });
  session.on('error', reject);
  session.on('close', () => reject(new Error(`${url.host} closed the connection`)));
  send(session, url, call, resolve, reject);
  try {
    return await promise;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${call.method} ${url.href}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

function send(
  session: ClientHttp2Session,
  url: URL,
  call: JsonCall,
  resolve: (reply: JsonReply) => void,
  reject: (error: Error) => void,
): void {
  const text = call.body === undefined ? null : JSON.stringify(call.body);
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: call.method,
      [constants.HTTP2_HEADER_PATH]: `${url.pathname}${url.search}`,
      accept: 'application/json',
      ...(text !== null && { 'content-type': 'application/json' }),
      ...(call.bearer !== undefined && { authorization: `Bearer ${call.bearer}` }),
    },
    { endStream: text === null },
  );
  const bytesMax = call.replyBytesMax ?? 1024 * 1024;
  const parts: Buffer[] = [];
  let bytes = 0;
  let headers: IncomingHttpHeaders & { ':status'?: number } = {};
  stream.on('response', (received) => {
    headers = received;
  });
  stream.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= bytesMax) parts.push(part);
    else reject(new Error(`the reply is larger than ${bytesMax} bytes`));
  });
  stream.on('end', () => {
    const status = headers[':status'];
    if (status === undefined) return reject(new Error('the reply has no status'));
    try {
      const body = parseBody(headers['content-type'], Buffer.concat(parts).toString('utf8'));
      return resolve({ status, body, headers });
    } catch {
      return reject(new Error(`the reply (status ${status}) is not valid JSON`));
    }
  });
  stream.on('error', reject);
  if (text !== null) stream.end(text);
}

function parseBody(contentType: string | undefined, text: string): unknown {
  const isJson = /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType ?? '');
  return isJson ? JSON.parse(text) : text;
}
