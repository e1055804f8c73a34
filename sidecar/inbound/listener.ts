// Accepts connections to the workload: first bytes, PeerAuthentication, TLS, then HTTP or bytes.
import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { admitPeer, admitTransport, chooseProtocol, type Hello } from '#policy/transport.ts';

import { listen } from '#runtime/listen.ts';

import type { Connections } from '../connections.ts';
import type { Enforced, InForce } from '../in-force.ts';
import { detectionTimeoutOf } from '../protocol-detection.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { readFirstBytes, readOpening, type Opening } from '../wire/first-bytes.ts';
import { InboundConnection, type InboundTarget } from './connection.ts';
import { readPeer, type Peer } from './peer.ts';
import { handshakeTimeoutMs, type TlsTerminator } from './tls.ts';

/** An admitted connection goes to one of these. They set what it carries. */
export interface InboundServers {
  /** @param alpn what was negotiated, '' for nothing */
  http(
    connection: InboundConnection,
    socket: Socket,
    firstBytes: Buffer | null,
    alpn: string,
  ): void;
  tcp(connection: InboundConnection, socket: Socket, head: Buffer, enforced: Enforced): void;
}

export interface InboundOptions {
  readonly inForce: InForce;
  readonly connections: Connections;
  readonly telemetry: Telemetry;
  readonly tls: TlsTerminator;
  readonly servers: InboundServers;
  /** Own SPIFFE ID. */
  readonly identity: () => string;
}

/** Tells where an accepted connection goes, and why it goes nowhere: '' when it does. */
export type TargetOf = (socket: Socket) => { target: InboundTarget; refusal: string };

/**
 * Where TCP is declared the server may speak first, and under PERMISSIVE a client in the clear
 * waits so long for it (in Istio for ever). A mesh client says its hello at once and waits for
 * nothing; one that came later would be taken for bytes in the clear, and one whose CPU is
 * throttled can be late by a second.
 */
export const serverFirstTimeoutMs = 2000;
/** HTTP clients may connect ahead of their first request. */
const firstRequestTimeoutMs = 60_000;

export class InboundListener {
  readonly #options: InboundOptions;
  readonly #targetOf: TargetOf;
  readonly #server: Server;

  constructor(options: InboundOptions, targetOf: TargetOf) {
    this.#options = options;
    this.#targetOf = targetOf;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /**
   * Resolves with the port.
   * @param host '': every address, IPv6 too where the host has it
   * @param shared others may listen on it too (SO_REUSEPORT)
   */
  listen(host: string, port: number, shared: boolean): Promise<number> {
    return listen(this.#server, { host, port, backlog: 1024, reusePort: shared });
  }

  /** Takes no new connections; those that are open are the registry's. */
  close(): void {
    this.#server.close();
  }

  #accept(raw: Socket): void {
    const { connections, inForce } = this.#options;
    raw.on('error', ignore);
    const enforced = inForce.current();
    if (enforced === null) {
      raw.destroy();
      return;
    }
    const { target, refusal } = this.#targetOf(raw);
    const connection = new InboundConnection(raw, target);
    if (refusal !== '') {
      this.#report(connection, refusal, null, '');
      raw.resetAndDestroy();
      return;
    }
    connections.add(connection);
    raw.once('close', () => connections.delete(connection));
    const { policies } = enforced;
    const { port } = target;
    const protocol = policies.portProtocol(port);
    const { mode } = policies.mtls(port);
    if (mode === 'DISABLE' && isBytes(protocol)) {
      this.#plaintext(connection, raw, 'other', Buffer.alloc(0));
      return;
    }
    const timeoutMs = firstBytesTimeoutMs(mode, protocol, enforced);
    const detectHttp = protocol === 'detect';
    readFirstBytes(
      raw,
      timeoutMs,
      (bytes) => readOpening(bytes, detectHttp),
      (opening, bytes) => this.#opened(connection, raw, opening, bytes),
    );
  }

  #opened(
    connection: InboundConnection,
    raw: Socket,
    opening: Opening | null,
    bytes: Buffer,
  ): void {
    if (opening === null && (bytes.length === 0 || bytes[0] === 22) && raw.readableEnded) {
      // Whoever connects and leaves, as a probe of the port does, has asked for nothing.
      raw.destroy();
    } else if (opening === null && bytes[0] === 22) {
      this.#refuse(connection, raw, 'the TLS hello did not come in time', null);
    } else if (opening?.kind === 'malformed') {
      this.#refuse(connection, raw, `malformed TLS hello: ${opening.reason}`, null);
    } else if (opening?.kind === 'tls') {
      this.#tls(connection, raw, opening.hello, bytes);
    } else {
      this.#plaintext(connection, raw, opening?.looksLike ?? 'other', bytes);
    }
  }

  #plaintext(
    connection: InboundConnection,
    raw: Socket,
    looksLike: 'http1' | 'http2' | 'other',
    bytes: Buffer,
  ): void {
    connection.setPlaintext();
    const { policies } = this.#enforced();
    const admission = admitTransport(policies, connection.target.port, null);
    if (admission.kind === 'refused') {
      this.#refuse(connection, raw, admission.reason, admission.at);
      return;
    }
    this.#serve(connection, raw, bytes, '', looksLike);
  }

  #tls(connection: InboundConnection, raw: Socket, hello: Hello, bytes: Buffer): void {
    connection.transport = 'tls';
    const { policies } = this.#enforced();
    const admission = admitTransport(policies, connection.target.port, hello);
    if (admission.kind === 'refused') {
      this.#refuse(connection, raw, admission.reason, admission.at, hello.sni);
    } else if (admission.kind === 'terminate') {
      if (bytes.length > 0) raw.unshift(bytes);
      this.#options.tls.accept(raw, hello, (socket, reason) => {
        if (socket === null) this.#report(connection, reason, null, hello.sni);
        else this.#secured(connection, socket, hello);
      });
    } else {
      connection.setOpaque(hello);
      this.#serve(connection, raw, bytes, '', 'other');
    }
  }

  #secured(connection: InboundConnection, socket: TLSSocket, hello: Hello): void {
    socket.on('error', ignore);
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) {
      this.#refuse(connection, socket, 'the client sent no certificate', null, hello.sni);
      return;
    }
    const peer = readPeer(certificate, this.#options.identity());
    connection.setPeer(socket, hello, peer);
    const refusal = this.#judgePeer(connection.target.port, hello, peer);
    if (refusal !== '') {
      this.#refuse(connection, socket, refusal, null, hello.sni);
      return;
    }
    const alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
    this.#serve(connection, socket, Buffer.alloc(0), alpn, 'other');
  }

  /** What was in force at the hello may have changed during the handshake. '' when admitted. */
  #judgePeer(port: number, hello: Hello, { identities, notAfterMs }: Peer): string {
    const { policies } = this.#enforced();
    const admission = admitTransport(policies, port, hello);
    if (admission.kind !== 'terminate') return 'PeerAuthentication has changed';
    // A resumed session brings a certificate that was verified when the session was made.
    if (notAfterMs <= Date.now()) return "the peer's certificate has expired";
    const admitted = admitPeer(policies, identities);
    return admitted.ok ? '' : admitted.reason;
  }

  #serve(
    connection: InboundConnection,
    socket: Socket,
    bytes: Buffer,
    alpn: string,
    looksLike: 'http1' | 'http2' | 'other',
  ): void {
    const { servers } = this.#options;
    const { transport } = connection;
    const enforced = this.#enforced();
    const carried = transport === 'mtls' ? 'mtls' : transport === 'tls' ? 'opaque' : 'plaintext';
    const { port } = connection.target;
    if (chooseProtocol(enforced.policies, port, carried, alpn, looksLike) === 'http') {
      servers.http(connection, socket, bytes.length === 0 ? null : bytes, alpn);
    } else {
      servers.tcp(connection, socket, bytes, enforced);
    }
    if (this.#options.connections.draining) connection.drain();
  }

  #refuse(
    connection: InboundConnection,
    socket: Socket,
    reason: string,
    at: string | null,
    sni = '',
  ): void {
    this.#report(connection, reason, at, sni);
    // Plaintext gets a reset, as from Envoy; within TLS a reset would lose the alert on its way.
    if (connection.transport === 'plaintext') socket.resetAndDestroy();
    else socket.destroy();
  }

  #report(downstream: InboundConnection, reason: string, at: string | null, sni: string): void {
    const { transport } = downstream;
    const destinationPort = downstream.target.port;
    const refusal = { downstream, destinationPort, transport, sni, reason, at };
    this.#options.telemetry.connectionRefused(refusal);
  }

  /** There is one from the first connection on, and never again none. */
  #enforced(): Enforced {
    const enforced = this.#options.inForce.current();
    if (enforced === null) throw new Error('nothing is in force');
    return enforced;
  }
}

function isBytes(protocol: string): boolean {
  return protocol === 'tcp' || protocol === 'tls';
}

function firstBytesTimeoutMs(mode: string, protocol: string, enforced: Enforced): number {
  // Nothing but a hello is admitted, so there is no other way to read silence.
  if (mode === 'STRICT') return handshakeTimeoutMs;
  if (isBytes(protocol)) return serverFirstTimeoutMs;
  return protocol === 'detect' ? detectionTimeoutOf(enforced) : firstRequestTimeoutMs;
}

/** Errors of sockets are told by `close`; without a listener they would end the process. */
function ignore(): void {}
