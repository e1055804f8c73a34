// Applications and clients of either version, by Node's own modules, that know nothing of the engine.
import { once } from 'node:events';
import http from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

import { waitFor } from '#test/sidecar/wire/http1/rig.ts';

export type Version = 'http1' | 'http2';
/** HTTP/2 by the interface that Node has for both. */
export type Serve = (request: IncomingMessage, response: ServerResponse) => void;

export interface Application {
  readonly port: number;
  /** Sockets that are or were open. */
  readonly sockets: Socket[];
  stop(): Promise<void>;
}

/** @param continues serves requests with `Expect: 100-continue`; without it Node says 100 itself */
export async function application(
  version: Version,
  serve: Serve,
  continues?: Serve,
  port = 0,
): Promise<Application> {
  const sockets: Socket[] = [];
  const server = (version === 'http1'
    ? http.createServer(serve)
    : http2.createServer(
        serve as unknown as Parameters<typeof http2.createServer>[1],
      )) as unknown as http.Server;
  if (continues !== undefined) server.on('checkContinue', continues);
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface Question {
  method?: string;
  path?: string;
  headers?: OutgoingHttpHeaders;
  /** Without `content-length` it goes out as chunks, or as DATA of unsaid length. */
  body?: readonly (string | Buffer)[];
  trailers?: Record<string, string>;
  /** The body is sent only after 100. */
  waitsForContinue?: boolean;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  trailers: Record<string, string>;
  interims: number[];
  /** It ended before it was whole. */
  broken: boolean;
}

export async function ask(version: Version, port: number, question: Question): Promise<Answer> {
  return version === 'http1' ? await askHttp1(port, question) : await askHttp2(port, question);
}

function flat(headers: object): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers) as [string, string | string[]][]) {
    if (!name.startsWith(':')) all[name] = Array.isArray(value) ? value.join('\n') : value;
  }
  return all;
}

function blank(): Answer {
  return { status: 0, headers: {}, body: '', trailers: {}, interims: [], broken: true };
}

async function askHttp1(port: number, question: Question): Promise<Answer> {
  const answer = blank();
  const request = http.request({
    port,
    host: '127.0.0.1',
    agent: false,
    method: question.method ?? 'GET',
    path: question.path ?? '/',
    headers: { host: 'shop', ...question.headers },
  });
  request.on('information', ({ statusCode }) => void answer.interims.push(statusCode));
  const send = (): void => {
    for (const part of question.body ?? []) request.write(part);
    if (question.trailers !== undefined) request.addTrailers(question.trailers);
    request.end();
  };
  if (question.waitsForContinue === true) {
    request.flushHeaders();
    request.on('continue', send);
  } else send();
  await new Promise<void>((resolve) => {
    request.on('error', () => resolve());
    request.on('response', (response) => {
      answer.status = response.statusCode ?? 0;
      answer.headers = flat(response.headers);
      response.on('data', (chunk: Buffer) => (answer.body += chunk.toString('latin1')));
      response.on('error', () => resolve());
      response.on('end', () => {
        answer.broken = !response.complete;
        answer.trailers = flat(response.trailers);
        resolve();
      });
    });
  });
  request.destroy();
  return answer;
}

async function askHttp2(port: number, question: Question): Promise<Answer> {
  const answer = blank();
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  const { trailers } = question;
  const stream = session.request(
    {
      ':method': question.method ?? 'GET',
      ':path': question.path ?? '/',
      ':authority': 'shop',
      ...question.headers,
    },
    { endStream: question.body === undefined, waitForTrailers: trailers !== undefined },
  );
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.on('headers', (head) => void answer.interims.push(head[':status'] ?? 0));
  const send = (): void => {
    for (const part of question.body ?? []) stream.write(part);
    if (question.body !== undefined) stream.end();
  };
  if (question.waitsForContinue === true) stream.on('continue', send);
  else send();
  stream.on('response', (head) => {
    answer.status = head[':status'] ?? 0;
    answer.headers = flat(head);
  });
  stream.on('trailers', (fields) => (answer.trailers = flat(fields)));
  stream.on('data', (chunk: Buffer) => (answer.body += chunk.toString('latin1')));
  let ended = false;
  stream.on('end', () => (ended = true));
  stream.on('error', () => {});
  await new Promise((resolve) => stream.on('close', resolve));
  answer.broken = !ended || stream.aborted || (stream.rstCode !== 0 && answer.status === 0);
  session.destroy();
  return answer;
}

/** Waits until a count has not grown for `quietMs`. */
export async function settles(count: () => number, quietMs = 150): Promise<number> {
  let last = -1;
  let sinceMs = performance.now();
  await waitFor(
    () => {
      if (count() !== last) {
        last = count();
        sinceMs = performance.now();
      }
      return performance.now() - sinceMs > quietMs;
    },
    () => `it grows for ever: ${last}`,
    15_000,
  );
  return last;
}

/** Bytes that this process holds outside of the heap, and in it. */
export function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
