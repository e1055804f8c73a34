// Calls that tests of interoperation make, and the applications that answer them.
import { once } from 'node:events';
import { request as requestHttp1 } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { plain } from '#test/sidecar/rig.ts';
import type { Rig } from '#test/sidecar/rig.ts';

export interface Reply {
  readonly status: number;
  /** What the application said that it got. */
  readonly got: Got;
  readonly trailers: Readonly<Record<string, unknown>>;
}

export interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: number;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

/** Says what it got, with trailers after it; for `upgrade` see Rig.application. */
export function describe(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (part: Buffer) => (bytes += part.length));
  request.on('end', () => {
    const { method = '', url = '', headers, trailers, httpVersion: version } = request;
    response.setHeader('trailer', 'x-sum, x-last');
    const got = { method, url, headers, bytes, trailers, version };
    response.write(JSON.stringify(got));
    response.addTrailers({ 'x-sum': String(bytes), 'x-last': 'a b' });
    response.end();
  });
}

/** Answers every byte with itself and an end with `bye`. */
export async function echoTcp(rig: Rig): Promise<number> {
  const server = createTcp({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
    socket.on('end', () => socket.end('bye'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  return (server.address() as AddressInfo).port;
}

export interface CallOptions {
  readonly method?: string;
  readonly body?: Buffer;
  readonly trailers?: Readonly<Record<string, string>>;
}

/** By HTTP/1.1. @param target a path, or for a proxy a whole URL */
export async function callHttp1(
  port: number,
  target: string,
  { method = 'GET', body, trailers }: CallOptions = {},
): Promise<Reply> {
  const headers = { host: 'payments', te: 'trailers', connection: 'close, te' };
  const request = requestHttp1({ host: '127.0.0.1', port, path: target, method, headers });
  if (trailers !== undefined) {
    request.setHeader('trailer', Object.keys(trailers).join(', '));
    request.write(body ?? '');
    request.addTrailers(trailers);
    request.end();
  } else request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response) text += String(part);
  return { status: response.statusCode ?? 0, got: read(text), trailers: response.trailers };
}

/** By HTTP/2 in the clear. */
export async function callHttp2(
  port: number,
  path: string,
  { method = 'GET', body, trailers }: CallOptions = {},
  authority = 'payments',
): Promise<Reply> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  const stream = session.request(
    { ':method': method, ':path': path, ':authority': authority, te: 'trailers' },
    { endStream: body === undefined && trailers === undefined, waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
  if (!stream.writableEnded) stream.end(body);
  let status = 0;
  let received: Record<string, unknown> = {};
  stream.on('response', (headers) => (status = headers[':status'] ?? 0));
  stream.on('trailers', (headers: IncomingHttpHeaders) => (received = { ...headers }));
  let text = '';
  for await (const part of stream) text += String(part);
  session.close();
  return { status, got: read(text), trailers: received };
}

/** Upgrades, and sends words there and back. @returns the head of the answer and what came back */
export async function websocket(port: number, target: string): Promise<[string, string]> {
  const socket = await plain(port);
  socket.write(
    `GET ${target} HTTP/1.1\r\nhost: payments\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  let text = await untilText(socket, '', '\r\n\r\n');
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  const head = text.slice(0, headEnd);
  text = text.slice(headEnd);
  if (!head.includes(' 101 ')) return [head, text];
  for (const word of ['one,', 'two,', 'three']) {
    socket.write(word);
    text = await untilText(socket, text, word);
  }
  socket.end();
  return [head, text];
}

/** Bytes there and back, then a half-close. @returns all that came */
export async function talkTcp(socket: Socket): Promise<string> {
  socket.write('hello,');
  let text = await untilText(socket, '', 'hello,');
  socket.end('again,');
  text = await untilText(socket, text, 'bye');
  return text;
}

async function untilText(socket: Socket, before: string, wanted: string): Promise<string> {
  let text = before;
  while (!text.includes(wanted)) {
    if (socket.closed || socket.readableEnded) throw new Error(`ended after "${text}"`);
    const part = await Promise.race([
      once(socket, 'data').then(([bytes]) => String(bytes)),
      once(socket, 'end').then(() => null),
    ]);
    if (part === null) throw new Error(`ended after "${text}"`);
    text += part;
  }
  return text;
}

function read(text: string): Got {
  try {
    return JSON.parse(text) as Got;
  } catch {
    throw new Error(`not what the application says: ${text}`);
  }
}
