// HTTPS for the API server: bounded bodies, bounded times, a certificate that changes under open connections.
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
} from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

import { listen } from '#runtime/listen.ts';
import type { Log } from '#runtime/log.ts';

export interface ServingCertificate {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

export interface WebhookServerOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly certificate: ServingCertificate;
  /** Answers a POST with JSON; what it throws becomes a 500. */
  readonly answer: (path: string, body: string) => Reply;
  readonly log: Log;
  readonly limits?: Partial<WebhookLimits>;
}

export interface Reply {
  readonly status: number;
  /** JSON, or a sentence where the status is an error. */
  readonly body: string;
}

export interface WebhookLimits {
  readonly connectionsMax: number;
  /** An object in etcd has at most 1.5 MiB, and a review has it twice. */
  readonly bodyBytesMax: number;
  readonly handshakeTimeoutMs: number;
  /** For a whole request; the API server itself waits 30 s at most. */
  readonly requestTimeoutMs: number;
  /** Longer than the API server's own, 90 s: whoever may send at any moment must not be hung up on. */
  readonly idleTimeoutMs: number;
}

export interface WebhookServer {
  readonly port: number;
  /** For new connections; those that are open go on. */
  setCertificate(certificate: ServingCertificate): void;
  /** Lets requests under way finish. */
  close(graceMs: number): Promise<void>;
}

const defaults: WebhookLimits = {
  connectionsMax: 1000,
  bodyBytesMax: 8 * 1024 * 1024,
  handshakeTimeoutMs: 5000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
};

type Request = Http2ServerRequest;
type Response = Http2ServerResponse;

/** Starts the server; rejects when it cannot listen. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { host, port, answer, log } = options;
  const limits = { ...defaults, ...options.limits };
  const server = createSecureServer({
    ...tlsOptions(options.certificate),
    // The API server speaks HTTP/2; curl and older proxies in between may not.
    allowHTTP1: true,
    handshakeTimeout: limits.handshakeTimeoutMs,
    maxHeaderListPairs: 64,
    settings: { enablePush: false, maxConcurrentStreams: 100, maxHeaderListSize: 16_384 },
  });
  server.maxConnections = limits.connectionsMax;
  // These two hold for HTTP/1.1, the timeout of sessions for HTTP/2.
  Object.assign(server, { requestTimeout: limits.requestTimeoutMs, headersTimeout: 10_000 });
  server.setTimeout(limits.idleTimeoutMs);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', (error) => log.debug({ error }, 'a connection failed'));
  });
  server.on('tlsClientError', (error, socket) => {
    // With a caBundle that is out of date the API server says `bad certificate`, and this is where it is seen.
    log.warn({ peer: socket.remoteAddress, reason: error.message }, 'TLS of a peer failed');
  });
  server.on('request', (request, response) => {
    response.on('error', (error) => log.debug({ error }, 'an answer could not be sent'));
    void serve(request, response, { answer, limits, log });
  });
  const taken = await listen(server, { host, port });
  return {
    port: taken,
    setCertificate: (certificate) => server.setSecureContext(tlsOptions(certificate)),
    close: (graceMs) => close(server, sessions, graceMs),
  };
}

interface Serving {
  readonly answer: WebhookServerOptions['answer'];
  readonly limits: WebhookLimits;
  readonly log: Log;
}

async function serve(request: Request, response: Response, serving: Serving): Promise<void> {
  const { answer, limits, log } = serving;
  const [path = ''] = request.url.split('?', 1);
  try {
    if (request.method !== 'POST') {
      return refuse(request, response, 405, 'POST an AdmissionReview', { allow: 'POST' });
    }
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      return refuse(request, response, 415, 'content-type application/json is wanted');
    }
    const body = await readBody(request, limits);
    if (typeof body !== 'string') return refuse(request, response, body.status, body.message);
    send(response, answer(path, body));
  } catch (error) {
    log.error({ error, path }, 'a review could not be answered');
    refuse(request, response, 500, 'the injector failed on this review; its log says how');
  }
}

/** The text; or why there is none. */
function readBody(
  request: Request,
  { bodyBytesMax, requestTimeoutMs }: WebhookLimits,
): Promise<string | { readonly status: number; readonly message: string }> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      resolve({ status: 408, message: `no whole body within ${requestTimeoutMs} ms` });
    }, requestTimeoutMs);
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= bodyBytesMax) parts.push(part);
      else resolve({ status: 413, message: `a review has at most ${bodyBytesMax} bytes` });
    });
    request.on('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(parts).toString('utf8'));
    });
    // The caller went away: nobody reads the answer, but the promise must settle.
    const gone = (): void => {
      clearTimeout(timer);
      resolve({ status: 400, message: 'the caller went away' });
    };
    request.on('aborted', gone);
    request.on('error', gone);
    request.on('close', gone);
  });
}

function send(response: Response, { status, body }: Reply): void {
  if (response.destroyed || response.writableEnded) return;
  response.writeHead(status, {
    'content-type': status === 200 ? 'application/json' : 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function refuse(
  request: Request,
  response: Response,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // What is left of the body is not read: a connection of HTTP/1.1 has no other use.
  if (request.httpVersionMajor < 2) response.setHeader('connection', 'close');
  send(response, { status, body: `${message}\n` });
  request.resume();
  if (request.httpVersionMajor < 2) return;
  setTimeout(() => response.stream?.close(constants.NGHTTP2_NO_ERROR), 250).unref();
}

function tlsOptions({ key, cert }: ServingCertificate): object {
  return { key, cert, minVersion: 'TLSv1.2', ALPNProtocols: ['h2', 'http/1.1'] };
}

async function close(
  server: Http2SecureServer,
  sessions: ReadonlySet<ServerHttp2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // GOAWAY: the API server sends what comes next to the other replica.
  for (const session of sessions) session.close();
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    for (const session of sessions) session.destroy();
    late.resolve();
  }, graceMs);
  await Promise.race([closed, late.promise]);
  clearTimeout(timer);
}
