// The CA on the network: HTTPS with HTTP/2 (and HTTP/1.1 for curl), JSON, every refusal with a code.
import { createSecureServer, type Http2SecureServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { SecureServerOptions, ServerHttp2Session } from 'node:http2';
import { csrBytesMax } from '#api/signing.ts';
import { listen } from '#runtime/listen.ts';
import type { Log } from '#runtime/log.ts';
import { plainAddress } from '#runtime/plain-address.ts';
import { Refusal, type RefusalCode } from './refusal.ts';
import type { ServingCertificate } from './serving.ts';
import type { createSigning } from './signing.ts';

export interface ApiOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: ServingCertificate;
  readonly sign: ReturnType<typeof createSigning>;
  readonly trustBundlePem: () => string;
  /** For a head and for a body to arrive. */
  readonly callTimeoutMs: number;
  readonly refused: (code: RefusalCode) => void;
  readonly log: Log;
}

export interface Api {
  readonly port: number;
  /** New connections get it; present ones stay. */
  install(certificate: ServingCertificate): void;
  /** Ends present calls in good order, at most `drainMs` long. */
  close(drainMs: number): Promise<void>;
}

/** JSON around a request of `csrBytesMax`, its line ends escaped. */
const bodyBytesMax = csrBytesMax * 2;
const idleTimeoutMs = 60_000;
const connectionsMax = 4096;

/** Starts listening; rejects when it cannot. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const server = createSecureServer(serverOptions(options));
  server.maxConnections = connectionsMax;
  server.setTimeout(idleTimeoutMs);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  // A peer that breaks its own session or handshake is no event of ours; without a listener it would end the process.
  server.on('sessionError', (error) => options.log.debug({ error }, 'session ended with an error'));
  server.on('tlsClientError', (error) => options.log.debug({ error }, 'TLS handshake failed'));
  server.on('request', (request, response) => void serve(request, response, options));
  const { host, port } = options;
  const taken = await listen(server, { host, port });
  return {
    port: taken,
    install: ({ key, cert }) => server.setSecureContext({ key, cert, minVersion: 'TLSv1.2' }),
    close: (drainMs) => close(server, sessions, drainMs),
  };
}

/** The last two are node:http's, for callers of HTTP/1.1; the types of node:http2 leave them out. */
function serverOptions({ certificate, callTimeoutMs }: ApiOptions): SecureServerOptions & {
  headersTimeout: number;
  connectionsCheckingInterval: number;
} {
  return {
    allowHTTP1: true,
    key: certificate.key,
    cert: certificate.cert,
    minVersion: 'TLSv1.2',
    handshakeTimeout: callTimeoutMs,
    maxSessionMemory: 1,
    settings: {
      maxConcurrentStreams: 8,
      maxHeaderListSize: 32 * 1024,
      initialWindowSize: bodyBytesMax,
    },
    headersTimeout: callTimeoutMs,
    connectionsCheckingInterval: Math.min(callTimeoutMs, 5000),
  };
}

function close(
  server: Http2SecureServer,
  sessions: Set<ServerHttp2Session>,
  drainMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const session of sessions) session.destroy();
    }, drainMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    for (const session of sessions) session.close();
  });
}

async function serve(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  options: ApiOptions,
): Promise<void> {
  try {
    const path = request.url.split('?', 1)[0] ?? '';
    const handler = routes[path];
    if (handler === undefined) throw new Refusal('path-unknown', `${known} are served here`);
    if (request.method !== handler.method) {
      throw new Refusal('method-refused', `${path} takes ${handler.method}`);
    }
    await handler.answer(request, response, options);
  } catch (error) {
    refuse(response, error, options);
  }
}

interface Route {
  readonly method: 'GET' | 'POST';
  readonly answer: (
    request: Http2ServerRequest,
    response: Http2ServerResponse,
    options: ApiOptions,
  ) => Promise<void>;
}

const routes: Readonly<Record<string, Route>> = Object.freeze({
  '/v1/certificates': { method: 'POST', answer: answerCertificate },
  '/v1/trust-bundle': { method: 'GET', answer: answerTrustBundle },
});
const known = Object.entries(routes)
  .map(([path, { method }]) => `${method} ${path}`)
  .join(' and ');

async function answerCertificate(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  options: ApiOptions,
): Promise<void> {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const body = await readBody(request, options.callTimeoutMs);
  const caller = plainAddress(request.socket.remoteAddress ?? '');
  const reply = await options.sign({ bearer, body, caller });
  send(response, 200, 'application/json', JSON.stringify(reply));
}

async function answerTrustBundle(
  _request: Http2ServerRequest,
  response: Http2ServerResponse,
  options: ApiOptions,
): Promise<void> {
  send(response, 200, 'application/x-pem-file', options.trustBundlePem());
}

function readBody(request: Http2ServerRequest, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => {
      reject(new Refusal('request-timeout', `the body did not arrive within ${timeoutMs} ms`));
    }, timeoutMs);
    const end = (call: () => void): void => {
      clearTimeout(timer);
      call();
    };
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= bodyBytesMax) parts.push(part);
      else {
        end(() =>
          reject(new Refusal('body-too-large', `a body has at most ${bodyBytesMax} bytes`)),
        );
      }
    });
    request.on('end', () => end(() => resolve(Buffer.concat(parts).toString('utf8'))));
    request.on('error', () => end(() => reject(new CallerGone())));
    request.on('aborted', () => end(() => reject(new CallerGone())));
  });
}

class CallerGone extends Error {}

function refuse(response: Http2ServerResponse, error: unknown, options: ApiOptions): void {
  if (error instanceof CallerGone || response.headersSent) return;
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal('internal', 'the CA failed; its log has the reason');
  if (refusal !== error) options.log.error({ error }, 'a call failed');
  options.refused(refusal.code);
  const caller = plainAddress(response.req.socket?.remoteAddress ?? '');
  options.log.debug({ code: refusal.code, reason: refusal.message, caller }, 'refused');
  if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer');
  if (refusal.retryAfterMs > 0) {
    response.setHeader('retry-after', Math.ceil(refusal.retryAfterMs / 1000));
  }
  // The rest of the body is not read; HTTP/1 could not tell where the next request begins.
  const unread = refusal.code === 'body-too-large' || refusal.code === 'request-timeout';
  if (unread && response.req.httpVersionMajor === 1) response.setHeader('connection', 'close');
  send(response, refusal.status, 'application/json', JSON.stringify(refusal.toBody()));
}

function send(response: Http2ServerResponse, status: number, type: string, body: string): void {
  response.statusCode = status;
  response.setHeader('content-type', type);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}
