// Terminates mutual TLS: node:tls on sockets that the inbound listener has already looked at.
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';

import type { Svid } from '#runtime/tls/svid.ts';

import { noteBelow } from '../wire/reset.ts';
import type { ClientHello } from '../wire/tls-hello.ts';

/**
 * In our order. `istio-peer-exchange` comes late: an Istio sidecar that gets it sends its metadata
 * before its bytes, and one that offers it offers `istio` as well.
 */
export const inboundProtocols: readonly string[] = [
  'istio-h2',
  'istio-http/1.1',
  'istio',
  'istio-peer-exchange',
  'h2',
  'http/1.1',
];

export const handshakeTimeoutMs = 10_000;
/** How long a peer may resume a session; its certificate's end is looked at on each connection. */
const sessionTimeoutSeconds = 3600;

/**
 * @param socket null: refused, and closed already. Node 26 crashes (SIGSEGV) when the wrapped
 *   socket is destroyed from within the handshake, so nobody but the TLS socket closes it.
 * @param reason '' when the handshake is done and the peer's certificate verified
 */
type Done = (socket: TLSSocket | null, reason: string) => void;

export class TlsTerminator {
  readonly #withProtocols: Server;
  /** For clients that offer none of our protocols: as Envoy, we then negotiate none. */
  readonly #without: Server;
  readonly #pending = new Map<string, Done>();

  constructor(svid: Svid) {
    this.#withProtocols = this.#makeServer(svid, inboundProtocols);
    this.#without = this.#makeServer(svid, null);
  }

  /** New handshakes use the new certificate and bundle; connections that are open stay. */
  renew(svid: Svid): void {
    const options = secureOptions(svid);
    this.#withProtocols.setSecureContext(options);
    this.#without.setSecureContext(options);
  }

  /** Begins the handshake. All bytes read so far must be pushed back with `unshift` before. */
  accept(raw: Socket, hello: ClientHello, done: Done): void {
    const key = keyOf(raw);
    const settle: Done = (socket, reason) => {
      if (this.#pending.get(key) !== settle) return;
      this.#pending.delete(key);
      if (socket !== null) noteBelow(socket, raw);
      done(socket, reason);
    };
    this.#pending.set(key, settle);
    raw.once('close', () => settle(null, 'the peer closed the connection during the handshake'));
    // A client that ends in the middle of the handshake is gone, and a reset can look like an end.
    raw.allowHalfOpen = false;
    const known = hello.alpn.some((name) => inboundProtocols.includes(name));
    (known ? this.#withProtocols : this.#without).emit('connection', raw);
  }

  #makeServer(svid: Svid, protocols: readonly string[] | null): Server {
    const server = createServer({
      ...secureOptions(svid),
      requestCert: true,
      // Judged below instead, so that the reason can be logged.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeTimeoutMs,
      sessionTimeout: sessionTimeoutSeconds,
      ...(protocols !== null && { ALPNProtocols: [...protocols] }),
    });
    server.on('secureConnection', (socket) => this.#secured(socket));
    server.on('tlsClientError', (error, socket) => {
      const settle = this.#pending.get(keyOf(socket));
      socket.destroy();
      settle?.(null, `the TLS handshake failed: ${error.message}`);
    });
    return server;
  }

  #secured(socket: TLSSocket): void {
    const settle = this.#pending.get(keyOf(socket));
    if (settle === undefined) {
      socket.destroy();
    } else if (!socket.authorized) {
      const reason = refusalOf(socket);
      socket.destroy();
      settle(null, reason);
    } else {
      socket.allowHalfOpen = true;
      settle(socket, '');
    }
  }
}

function secureOptions(svid: Svid): { key: string; cert: string; ca: string } & SessionOptions {
  return {
    key: svid.keyPem,
    cert: svid.chainPem,
    ca: svid.trustBundlePem,
    minVersion: 'TLSv1.2',
    sessionIdContext: 'selvage-inbound',
  };
}

interface SessionOptions {
  readonly minVersion: 'TLSv1.2';
  /** OpenSSL resumes no session with a client certificate without one. */
  readonly sessionIdContext: string;
}

function refusalOf(socket: TLSSocket): string {
  if (socket.getPeerX509Certificate() === undefined) return 'the client sent no certificate';
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error ? error.message : String(error);
  return `the client's certificate is not verified by the trust bundle: ${code}`;
}

/** A TLS socket does not tell which socket it wraps, but both have the same ends. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}
