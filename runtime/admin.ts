// The admin endpoint of a process: a table of routes on node:http, on loopback unless told otherwise.
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';

import { listen } from './listen.ts';

/**
 * Not imported: an ES import reads every export of a built-in module, and node:http's `WebSocket` then loads all of
 * Node's own undici: 45 ms and 10 MB of each process, for nothing.
 */
const { createServer } = process.getBuiltinModule('node:http');

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  /** Exact path: `/ready`. */
  readonly path: string;
  /** Shown in the list that GET / and GET /help give. */
  readonly doc?: string;
  /** Answers only callers on this machine: for what changes the process, where the port is open to others. */
  readonly loopbackOnly?: boolean;
  readonly handler: (
    query: URLSearchParams,
    body: string,
    headers: IncomingHttpHeaders,
  ) => AdminReply | Promise<AdminReply>;
}

export interface AdminReply {
  /** 200 where it is left out. */
  readonly status?: number;
  /** Content type; `text/plain; charset=utf-8` where it is left out. */
  readonly type?: string;
  readonly body: string;
  /**
   * What follows the body, each piece sent at once, until this ends or the reader goes. Called once, in any case, and
   * gone through to its end.
   * @param signal aborted when the reader has gone, or the endpoint closes
   */
  readonly more?: (signal: AbortSignal) => AsyncIterable<string>;
}

export interface AdminOptions {
  /** `127.0.0.1` where it is left out. */
  readonly host?: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly routes: readonly AdminRoute[];
  /** Request bodies above it are refused with 413; 1 MiB where it is left out. */
  readonly bodyBytesMax?: number;
}

export interface Admin {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the endpoint; rejects when it cannot listen. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { host = '127.0.0.1', port, routes, bodyBytesMax = 1024 * 1024 } = options;
  const loopback = host === 'localhost' || isLoopback(host);
  const streams = new Set<AbortController>();
  const server = createServer((request, response) => {
    void answer(request, routes, { loopback, bodyBytesMax }).then((reply) =>
      send(request, response, reply, streams),
    );
  });
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  const taken = await listen(server, { host, port });
  return {
    port: taken,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const one of streams) one.abort();
        server.closeIdleConnections();
        // A scrape in progress may finish; nothing on this port is worth waiting longer for.
        setTimeout(() => server.closeAllConnections(), 1000).unref();
      }),
  };
}

/** A JSON reply, indented for people. */
export function jsonReply(value: unknown, status = 200): AdminReply {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** A handler whose body is JSON; what is none is refused with 400. */
export function takesJson(
  handler: (value: unknown, query: URLSearchParams) => AdminReply | Promise<AdminReply>,
): AdminRoute['handler'] {
  return (query, body) => {
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch (error) {
      return jsonReply({ error: `the body is no JSON: ${String(error)}` }, 400);
    }
    return handler(value, query);
  };
}

interface FullReply extends AdminReply {
  readonly headers?: Readonly<Record<string, string>>;
}

async function answer(
  request: IncomingMessage,
  routes: readonly AdminRoute[],
  limits: { loopback: boolean; bodyBytesMax: number },
): Promise<FullReply> {
  const url = URL.parse(request.url ?? '', 'http://admin');
  if (url === null) return { status: 400, body: 'malformed target\n' };
  if (isForeign(request, limits.loopback)) {
    return { status: 403, body: 'refused: not called by this host name, or from a web page\n' };
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (/^\/(?:help)?$/.test(url.pathname) && method === 'GET') return { body: listRoutes(routes) };
  const atPath = routes.filter((route) => route.path === url.pathname);
  const route = atPath.find((candidate) => candidate.method === method);
  if (route === undefined) {
    if (atPath.length === 0) {
      return { status: 404, body: `no ${url.pathname} here\n\n${listRoutes(routes)}` };
    }
    const allow = atPath.map((candidate) => candidate.method).join(', ');
    return { status: 405, body: `allowed: ${allow}\n`, headers: { allow } };
  }
  if (route.loopbackOnly === true && !isLoopback(request.socket.remoteAddress ?? '')) {
    return { status: 403, body: `${route.path} answers only callers on its own machine\n` };
  }
  const body = await readBody(request, limits.bodyBytesMax);
  if (body === null) {
    return {
      status: 413,
      body: `a body has at most ${limits.bodyBytesMax} bytes\n`,
      headers: { connection: 'close' },
    };
  }
  try {
    return await route.handler(url.searchParams, body, request.headers);
  } catch (error) {
    return { status: 500, body: `${error instanceof Error ? error.message : String(error)}\n` };
  }
}

/**
 * On loopback the endpoint trusts whoever is on this machine, and a browser is there too: a page must reach it neither
 * by a name of its own that resolves to loopback (DNS rebinding) nor by a cross-origin POST.
 */
function isForeign(request: IncomingMessage, loopback: boolean): boolean {
  if (request.headers.origin !== undefined && request.method !== 'GET') return true;
  if (!loopback) return false;
  const name = (request.headers.host ?? 'localhost').replace(/:\d+$/, '').toLowerCase();
  return name !== 'localhost' && isIP(name.replace(/^\[|\]$/g, '')) === 0;
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

function listRoutes(routes: readonly AdminRoute[]): string {
  const width = Math.max(0, ...routes.map((route) => route.path.length));
  const lines = routes.map((route) => {
    const path = route.path.padEnd(width);
    return `${route.method.padEnd(4)} ${path}  ${route.doc ?? ''}`.trimEnd();
  });
  return `${lines.join('\n')}\n`;
}

/** The body as text; null above the limit, whose rest is thrown away so that the refusal can be read. */
function readBody(request: IncomingMessage, bytesMax: number): Promise<string | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= bytesMax) parts.push(part);
      else resolve(null);
    });
    request.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    // The caller went away: nobody reads the answer, but the promise must settle.
    request.on('close', () => resolve(null));
  });
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: FullReply,
  streams: Set<AbortController>,
): void {
  const { status = 200, type = 'text/plain; charset=utf-8', body, more } = reply;
  const head = { 'content-type': type, 'x-content-type-options': 'nosniff', ...reply.headers };
  if (more !== undefined) {
    response.writeHead(status, head);
    response.write(body);
    void goOn(request, response, more, streams);
  } else if (!response.destroyed) {
    response.writeHead(status, { ...head, 'content-length': Buffer.byteLength(body) });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

/** Never rejects: a source that fails ends the answer before its time, which its reader sees. */
async function goOn(
  request: IncomingMessage,
  response: ServerResponse,
  more: (signal: AbortSignal) => AsyncIterable<string>,
  streams: Set<AbortController>,
): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  streams.add(over);
  response.once('close', () => over.abort());
  if (response.destroyed || request.method === 'HEAD') over.abort();
  else response.flushHeaders();
  try {
    for await (const piece of more(signal)) {
      if (!signal.aborted && !response.write(piece)) await once(response, 'drain', { signal });
    }
    response.end();
  } catch {
    if (signal.aborted) response.end();
    else response.destroy();
  }
  streams.delete(over);
}
