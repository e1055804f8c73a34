// POST /v1/snapshots over HTTP/2 and mutual TLS: a sidecar proves who it is and gets its own snapshots. GET /v1/sidecars tells
// another replica of control who is connected here.
import { X509Certificate } from 'node:crypto';
import {
  constants,
  createSecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';

import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '#api/spiffe.ts';
import { listen } from '#runtime/listen.ts';
import type { Log } from '#runtime/log.ts';
import { svidUri } from '#runtime/tls/peer-names.ts';

import { Connections } from './connections.ts';
import type { Sessions } from './sessions.ts';
import { serveStream, type StreamEvents, type StreamLimits } from './stream.ts';

export interface Credentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface PushServerOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly credentials: Credentials;
  /** Only identities of this trust domain are known here. */
  readonly trustDomain: string;
  readonly sessions: Sessions;
  readonly events: StreamEvents;
  /** JSON for other replicas of control, and nobody else; without it they are told nothing. */
  readonly report?: () => string;
  readonly limits: PushLimits;
  readonly log: Log;
}

export interface PushLimits extends StreamLimits {
  readonly connectionsMax: number;
  /** Connections of one SPIFFE ID. */
  readonly perIdentityMax: number;
  readonly handshakeTimeoutMs: number;
  readonly pingEveryMs: number;
}

export interface PushServer {
  readonly port: number;
  /** For new connections; those that are open go on. */
  setCredentials(credentials: Credentials): void;
  /** Stops listening and disconnects every sidecar. */
  close(): Promise<void>;
}

export const snapshotsPath = '/v1/snapshots';
const sidecarsPath = '/v1/sidecars';

/** Starts the server; rejects when it cannot listen. */
export async function startPushServer(options: PushServerOptions): Promise<PushServer> {
  const { host, port, limits, log, sessions } = options;
  const server = createSecureServer({
    ...tlsOptions(options.credentials),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: limits.handshakeTimeoutMs,
    allowHTTP1: false,
    maxSessionMemory: 1,
    maxHeaderListPairs: 32,
    settings: { enablePush: false, maxConcurrentStreams: 2, maxHeaderListSize: 8192 },
  });
  server.maxConnections = limits.connectionsMax;
  const connections = new Connections(limits);
  server.on('session', (session) => {
    const identity = svidUri((session.socket as TLSSocket).getPeerX509Certificate());
    if (!connections.add(session, identity)) {
      log.warn({ identity }, 'too many connections of one identity; refusing another');
    }
    session.on('error', (error) => log.debug({ error }, 'connection of a sidecar failed'));
  });
  server.on('tlsClientError', (error, socket) => {
    log.warn({ peer: socket.remoteAddress, reason: error.message }, 'TLS of a peer refused');
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    connections.use(stream);
    stream.on('error', (error) => log.debug({ error }, 'stream of a sidecar failed'));
    route(stream, headers, options);
  });
  const taken = await listen(server, { host, port });
  return {
    port: taken,
    setCredentials: (credentials) => server.setSecureContext(tlsOptions(credentials)),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      sessions.close();
      connections.close(1000);
      await closed;
    },
  };
}

function tlsOptions({ key, cert, ca }: Credentials): object {
  return { key, cert, ca, minVersion: 'TLSv1.2', ALPNProtocols: ['h2'] };
}

function route(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: PushServerOptions,
): void {
  const peer = peerOf(stream.session, options.trustDomain);
  const path = headers[constants.HTTP2_HEADER_PATH];
  if (path === sidecarsPath && options.report !== undefined) {
    tellReplica(stream, headers, peer, options);
  } else if (path !== snapshotsPath) {
    refuse(stream, 404, 'path-unknown', `only ${snapshotsPath} is served here`);
  } else if (headers[constants.HTTP2_HEADER_METHOD] !== 'POST') {
    refuse(stream, 405, 'method-unknown', `${snapshotsPath} takes POST`);
  } else if (peer === null) {
    const message = `the certificate names no workload of trust domain ${options.trustDomain}`;
    options.log.warn({ peer: stream.session?.socket.remoteAddress }, message);
    refuse(stream, 403, 'identity-foreign', message);
  } else {
    serveStream({ stream, peer, ...options, refuse });
  }
}

/** Who is connected where is for control alone to know: it is a list of what runs in the mesh. */
function tellReplica(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  peer: SpiffeId | null,
  { credentials, report, log }: PushServerOptions,
): void {
  const own = svidUri(new X509Certificate(credentials.cert));
  if (headers[constants.HTTP2_HEADER_METHOD] !== 'GET') {
    refuse(stream, 405, 'method-unknown', `${sidecarsPath} takes GET`);
  } else if (peer === null || formatSpiffeId(peer) !== own) {
    log.warn({ peer: peer && formatSpiffeId(peer) }, `${sidecarsPath} was refused`);
    refuse(stream, 403, 'identity-mismatch', `${sidecarsPath} answers only ${own}`);
  } else {
    stream.respond({
      [constants.HTTP2_HEADER_STATUS]: 200,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/json',
    });
    stream.end(report?.());
    stream.resume();
  }
}

/** The identity that the peer's verified certificate proves; null where it proves none of ours. */
function peerOf(session: Http2Session | undefined, trustDomain: string): SpiffeId | null {
  const socket = session?.socket as TLSSocket | undefined;
  if (socket?.authorized !== true) return null;
  const id = parseSpiffeId(svidUri(socket.getPeerX509Certificate()));
  return id?.trustDomain === trustDomain ? id : null;
}

/** Answers with the reason as JSON; an answer that began already is cut off. */
export function refuse(
  stream: ServerHttp2Stream,
  status: number,
  code: string,
  message: string,
): void {
  if (stream.destroyed || stream.closed) return;
  if (stream.headersSent) {
    stream.close(constants.NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  stream.respond({
    [constants.HTTP2_HEADER_STATUS]: status,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/json',
  });
  stream.end(JSON.stringify({ code, message }));
  // The peer may go on sending a body that nobody reads.
  stream.resume();
  setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), 250).unref();
}
