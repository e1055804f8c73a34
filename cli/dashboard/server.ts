// The dashboard's server: read-only, on loopback, for whoever has the address that it prints.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { listen } from '#runtime/listen.ts';

import { accessOf, cookieOf, makeToken } from './access.ts';
import type { Sidecars } from '../sidecars/source.ts';
import { Collector } from './collector.ts';
import { framed, icon } from './frame.ts';
import { html } from './html.ts';
import { pageAt } from './pages.ts';
import { script } from './script.ts';
import { style } from './style.ts';

/** As in runtime/admin.ts: importing it would load all that is in it. */
const { createServer } = process.getBuiltinModule('node:http');

export interface Dashboard {
  /** With the token: `http://127.0.0.1:21900/?token=…`. */
  readonly url: string;
  close(): Promise<void>;
}

export interface DashboardOptions {
  /** The mesh; closed with the server. */
  readonly mesh: Sidecars;
  /** The first that is free is taken; 0: the system chooses. */
  readonly ports: readonly number[];
  readonly now?: () => number;
}

/** A pasted call may bring a large token, in its address. */
const headBytesMax = 64 * 1024;

/** Where nobody says which: the same address at each start, as far as it is free. */
export const dashboardPorts: readonly number[] = [
  ...Array.from({ length: 20 }, (_, i) => 21_900 + i),
  0,
];

/** Rejects when it cannot listen. */
export async function startDashboard({ mesh, ports, now }: DashboardOptions): Promise<Dashboard> {
  const collector = new Collector(mesh, now);
  const token = makeToken();
  let taken = 0;
  const server = createServer({ maxHeaderSize: headBytesMax }, (request, response) => {
    void answer(request, { collector, token, port: taken }).then((reply) =>
      send(request, response, reply),
    );
  });
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  try {
    taken = await listenOnFirst(server, ports);
  } catch (error) {
    await collector.close();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${taken}/?token=${token}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await collector.close();
    },
  };
}

async function listenOnFirst(server: Server, ports: readonly number[]): Promise<number> {
  for (const port of ports.slice(0, -1)) {
    const taken = await listen(server, { host: '127.0.0.1', port }).catch(() => null);
    if (taken !== null) return taken;
  }
  return listen(server, { host: '127.0.0.1', port: ports.at(-1) ?? 0 });
}

interface Served {
  readonly collector: Collector;
  readonly token: string;
  readonly port: number;
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const asHtml = 'text/html; charset=utf-8';

async function answer(request: IncomingMessage, served: Served): Promise<Reply> {
  const { token, port, collector } = served;
  const url = URL.parse(request.url ?? '', `http://127.0.0.1:${port}`);
  if (url === null) return plain(400, 'That is no address.');
  const access = accessOf(request, url, token, port);
  if (access.kind === 'refused') {
    return {
      ...plain(access.status, access.reason),
      ...(access.status === 405 && { headers: { allow: 'GET, HEAD' } }),
    };
  }
  if (access.kind === 'first') return welcome(url, token, port);
  const asset = assets[url.pathname];
  if (asset !== undefined) return asset;
  const { title } = collector.mesh;
  try {
    const page = await pageAt(collector, url.pathname, url.searchParams);
    if (typeof page === 'string') {
      return { ...plain(303, page), headers: { location: page } };
    }
    const body = framed(page, url.pathname, title).text;
    return { status: page.status ?? 200, type: asHtml, body };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const body = html`<h1>The mesh cannot be asked</h1>
      <p class="note bad-note">${message}</p>`;
    const page = { title: 'No answer', body, live: true };
    return { status: 502, type: asHtml, body: framed(page, url.pathname, title).text };
  }
}

const assets: Readonly<Record<string, Reply>> = {
  '/style.css': { status: 200, type: 'text/css; charset=utf-8', body: style },
  '/script.js': { status: 200, type: 'text/javascript; charset=utf-8', body: script },
  '/favicon.ico': { status: 200, type: 'image/svg+xml', body: icon },
  '/icon.svg': { status: 200, type: 'image/svg+xml', body: icon },
};

/**
 * Keeps the token in a cookie and goes on without it in the address. By a page, not by a redirect: where a link was
 * followed from another site (a terminal in a browser), a strict cookie goes only with what a page of ours begins.
 */
function welcome(url: URL, token: string, port: number): Reply {
  url.searchParams.delete('token');
  const target = `${url.pathname.replace(/^\/+/, '/')}${url.search}`;
  const body = html`<!doctype html><meta charset="utf-8" /><title>Selvage</title>
    <meta http-equiv="refresh" content="0;url=${target}" />
    <p><a href="${target}">Go on</a></p>`;
  return {
    status: 200,
    type: asHtml,
    body: body.text,
    headers: { 'set-cookie': cookieOf(token, port) },
  };
}

function plain(status: number, text: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

/** Nothing from elsewhere, nothing inline, in nobody's frame, in nobody's cache. */
const security: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (response.destroyed) return;
  response.writeHead(reply.status, {
    ...security,
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    ...reply.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}
