// What Node's own parser makes of bytes, and what ours does: for comparing them.
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';

import { admitHead } from '#sidecar/admit-head.ts';
import { BodyCursor } from '#sidecar/wire/http1/body.ts';
import { closesAfter } from '#sidecar/wire/http1/keep-alive.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';

/** A request as somebody read it. */
export interface Reading {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly body: string;
  /** Lower-case `name: value` of every other header but those that framing and connection own. */
  readonly lines: readonly string[];
}

export interface Readings {
  readonly requests: Reading[];
  /** '' when nothing was refused. */
  readonly error: string;
}

const hopNames = new Set(
  'connection keep-alive proxy-connection upgrade te host transfer-encoding content-length'.split(
    ' ',
  ),
);

/** Node's reading of a connection's bytes, at the strictness that it has by default. */
export async function readByNode(bytes: Buffer): Promise<Readings> {
  const requests: Reading[] = [];
  let error = '';
  const server = createServer({ keepAliveTimeout: 0, requireHostHeader: false });
  const take = (request: IncomingMessage): void => {
    const entry = { ...readingOf(request), body: '' };
    const at = requests.push(entry) - 1;
    request.on('data', (chunk: Buffer) => {
      entry.body += chunk.toString('latin1');
    });
    request.on('error', () => {
      if (!request.complete) requests[at] = { ...entry, body: 'cut off' };
    });
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
    server.on(event, (request, response) => {
      take(request);
      request.on('end', () => response.end());
    });
  }
  for (const event of ['upgrade', 'connect'] as const) {
    server.on(event, (request: IncomingMessage) => {
      requests.push({ ...readingOf(request), body: '' });
    });
  }
  server.on('clientError', (problem: NodeJS.ErrnoException, socket) => {
    error ||= problem.code ?? problem.message;
    socket.destroy();
  });
  const socket = new Wire();
  server.emit('connection', socket);
  socket.push(bytes);
  // What is pipelined is read once the response before it is out.
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  return { requests, error };
}

class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
}

function readingOf(request: IncomingMessage): Omit<Reading, 'body'> {
  const lines: string[] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = (request.rawHeaders[i] ?? '').toLowerCase();
    if (!hopNames.has(name)) {
      const value = Buffer.from(request.rawHeaders[i + 1] ?? '', 'latin1').toString('utf8');
      lines.push(`${name}: ${value}`);
    }
  }
  const { method = '', url = '' } = request;
  return { method, target: url, host: request.headers.host ?? '', lines };
}

/** Our reading of the same. */
export interface OwnReadings extends Readings {
  /** Method and body of each request that was read, those included that were refused. */
  readonly read: string[];
  /** What would go to the application for `requests`. */
  readonly forwarded: Buffer;
}

export function readByUs(bytes: Buffer): OwnReadings {
  const requests: Reading[] = [];
  const read: string[] = [];
  const forwarded: Buffer[] = [];
  const head = new RequestHead(http1Limits);
  const cursor = new BodyCursor(http1Limits);
  let error = '';
  for (let at = 0; at < bytes.length && error === '';) {
    const state = head.feed(bytes, at, bytes.length);
    if (state !== 'done') {
      error = state;
      break;
    }
    cursor.begin(head.chunked, Math.max(0, head.contentLength));
    let body = '';
    const collect = (buffer: Buffer, from: number, to: number): void => {
      body += buffer.toString('latin1', from, to);
    };
    const end = cursor.done ? head.end : cursor.take(head.buffer, head.end, head.limit, collect);
    if (end < 0 || !cursor.done) {
      error = end < 0 ? 'malformed body' : 'more';
      break;
    }
    if (!head.chunked) body = head.buffer.toString('latin1', head.end, end);
    at = end;
    read.push(`${head.method} ${body}`);
    const refusal = admitHead(head, 'DEFAULT');
    if (refusal === 'malformed' || refusal === 'version-unsupported') error = refusal;
    if (refusal !== '') continue;
    const lines = head
      .lines()
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !hopNames.has(name))
      .map(([name, value]) => `${name}: ${value}`);
    const { method, path: target, authority: host } = head;
    requests.push({ method, target, host, body, lines });
    const out = Buffer.alloc(head.http1BytesMax());
    forwarded.push(out.subarray(0, head.writeHttp1(out, 0)), head.buffer.subarray(head.end, end));
    const last = closesAfter(head, cursor);
    head.clear();
    if (last) break;
  }
  return { requests, read, error, forwarded: Buffer.concat(forwarded) };
}
