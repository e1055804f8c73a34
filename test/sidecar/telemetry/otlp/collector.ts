// A collector for tests: takes OTLP over HTTP and over gRPC, keeps what it is sent, and behaves as badly as it is told.
import { createServer, type RequestListener, type Server } from 'node:http';
import {
  createSecureServer,
  createServer as createHttp2Server,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import type { Issued } from '#test/tls/fixtures.ts';

import { readSpans, type SentSpan } from './spans.ts';

export interface Collector {
  /** `http://127.0.0.1:PORT` or `grpc://…`; by TLS `https://localhost:PORT` or `grpcs://…`. */
  readonly url: string;
  readonly port: number;
  readonly spans: SentSpan[];
  /** Of each call. */
  readonly heads: Record<string, string>[];
  /** How it answers from now on: HTTP status or status of gRPC; `never`: not at all. */
  answer: number | 'never';
  /** Body of its good answers: an ExportTraceServiceResponse. */
  says: Buffer;
  /** By TLS, its certificate from now on. */
  present(issued: Issued): void;
  close(): Promise<void>;
}

/** @param answer 200 @param issued its certificate, for TLS */
export async function httpCollector(
  answer: number | 'never' = 200,
  issued?: Issued,
): Promise<Collector> {
  const take: RequestListener = (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      collector.heads.push({ ':path': request.url ?? '', ...plain(request.headers) });
      if (collector.answer === 200) collector.spans.push(...readSpans(Buffer.concat(parts)));
      if (collector.answer === 'never') return;
      response.writeHead(collector.answer).end(collector.answer === 200 ? collector.says : '');
    });
  };
  const server = issued === undefined ? createServer(take) : createHttpsServer(tlsOf(issued), take);
  const collector = await listen(issued === undefined ? 'http' : 'https', server, answer);
  return collector;
}

/** @param answer 0: OK @param issued its certificate, for TLS */
export async function grpcCollector(
  answer: number | 'never' = 0,
  issued?: Issued,
): Promise<Collector> {
  const server = issued === undefined ? createHttp2Server() : createSecureServer(tlsOf(issued));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      collector.heads.push(plain(headers));
      const { answer: status } = collector;
      if (status === 0) collector.spans.push(...readSpans(Buffer.concat(parts).subarray(5)));
      if (status === 'never') return;
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
      stream.end(status === 0 ? framed(collector.says) : undefined);
    });
  });
  const collector = await listen(issued === undefined ? 'grpc' : 'grpcs', server, answer);
  return collector;
}

async function listen(
  scheme: 'http' | 'https' | 'grpc' | 'grpcs',
  server: Server | HttpsServer | Http2Server | Http2SecureServer,
  answer: number | 'never',
): Promise<Collector> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://${scheme.endsWith('s') ? 'localhost' : '127.0.0.1'}:${port}`,
    port,
    spans: [],
    heads: [],
    answer,
    says: Buffer.alloc(0),
    present: (issued) => {
      if ('setSecureContext' in server) server.setSecureContext(tlsOf(issued));
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function tlsOf({ keyPem, certPem }: Issued): { key: string; cert: string } {
  return { key: keyPem, cert: certPem };
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function plain(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
