// Serves connections that the application made to somebody else: by declared protocol, else by first bytes.
import type { Socket } from 'node:net';

import type { Connections } from '../connections.ts';
import type { Enforced, InForce } from '../in-force.ts';
import { detectionTimeoutOf } from '../protocol-detection.ts';
import type { Telemetry } from '../telemetry/types.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { readFirstBytes, readOpening, type Opening } from '../wire/first-bytes.ts';
import type { HttpServer } from '../wire/http-server.ts';
import { OutboundConnection } from './connection.ts';
import {
  findByServerName,
  findOriginal,
  type OriginalDestination,
  type OriginalDestinationOf,
} from './original-destination.ts';
import type { Found } from './routes.ts';
import { OutboundTcp } from './tcp.ts';

export interface CapturedOptions {
  readonly inForce: InForce;
  readonly connections: Connections;
  readonly telemetry: Telemetry;
  readonly upstreams: Upstreams;
  readonly http: Pick<HttpServer, 'accept'>;
}

/**
 * Whoever says nothing for so long may wait for a server that speaks first: the way there is opened
 * ahead, and its first byte tells. Clients that speak first do so within less.
 */
const openAheadMs = 100;

/** Makes what a listener does with a socket that it has accepted. */
export function createCapturedServer(
  options: CapturedOptions,
  originalDestination: OriginalDestinationOf,
): (socket: Socket) => void {
  return (socket) => {
    const enforced = options.inForce.current();
    const original = originalDestination(socket);
    const connection = new OutboundConnection(socket, original);
    if (enforced === null || original === null) {
      if (original === null) refuse(options, connection);
      socket.resetAndDestroy();
      return;
    }
    options.connections.add(connection);
    socket.once('close', () => options.connections.delete(connection));
    new Captured(options, connection, socket, original).start(enforced);
  };
}

function refuse({ telemetry }: CapturedOptions, downstream: OutboundConnection): void {
  const reason = 'the connection was not captured: nobody knows where it was to go';
  const [destinationPort, transport] = [downstream.localPort, 'unknown'] as const;
  telemetry.connectionRefused({
    downstream,
    destinationPort,
    transport,
    sni: '',
    reason,
    at: null,
  });
}

class Captured {
  readonly #options: CapturedOptions;
  readonly #connection: OutboundConnection;
  readonly #socket: Socket;
  readonly #original: OriginalDestination;
  #ahead: OutboundTcp | null = null;

  constructor(
    options: CapturedOptions,
    connection: OutboundConnection,
    socket: Socket,
    original: OriginalDestination,
  ) {
    this.#options = options;
    this.#connection = connection;
    this.#socket = socket;
    this.#original = original;
  }

  start(enforced: Enforced): void {
    const found = findOriginal(enforced.routes, this.#original);
    const protocol = typeof found === 'string' ? 'detect' : found.port.protocol;
    if (protocol === 'tcp' || found === 'unknown-port') this.#tcp(enforced, found, nothing);
    else if (protocol === 'tls' || protocol === 'detect') this.#detect(enforced, found, protocol);
    else this.#http(nothing);
  }

  /** Undeclared, or TLS: then the client speaks first, and only its server name is wanted. */
  #detect(enforced: Enforced, found: Found, protocol: 'tls' | 'detect'): void {
    const detectHttp = protocol === 'detect';
    const reading = readFirstBytes(
      this.#socket,
      detectionTimeoutOf(enforced),
      (bytes) => readOpening(bytes, detectHttp),
      (opening, bytes) => this.#opened(enforced, opening, bytes),
    );
    setTimeout(() => {
      if (!reading.silent) return;
      this.#ahead = this.#carry(enforced, found, () => reading.giveUp());
    }, openAheadMs).unref();
  }

  #opened(enforced: Enforced, opening: Opening | null, bytes: Buffer): void {
    // What is in force may be another by now.
    const present = this.#options.inForce.current() ?? enforced;
    const { routes } = present;
    if (bytes.length === 0 && this.#socket.readableEnded) {
      // As in Envoy, whoever leaves without a word has asked for nothing. A call of ours to
      // ourselves, which is given up when it is seen to be one, would go round otherwise.
      this.#socket.destroy();
    } else if (opening?.kind === 'plaintext' && opening.looksLike !== 'other') {
      this.#http(bytes);
    } else if (opening?.kind === 'tls') {
      const { sni } = opening.hello;
      this.#connection.setServerName(sni);
      this.#tcp(present, findByServerName(routes, this.#original, sni), bytes);
    } else {
      // Silence, bytes of another protocol, or a hello that only its server may make sense of.
      this.#tcp(present, findOriginal(routes, this.#original), bytes);
    }
  }

  #http(bytes: Buffer): void {
    const { http, connections } = this.#options;
    const connection = this.#connection;
    this.#ahead?.abandon();
    connection.http = http.accept(this.#socket, connection, bytes.length === 0 ? null : bytes);
    if (connections.draining) connection.drain();
  }

  #tcp(enforced: Enforced, found: Found, head: Buffer): void {
    let tcp = this.#ahead;
    // A server name may lead elsewhere than what was opened before it was known.
    const routed = !enforced.routing.empty && this.#connection.facts.sni !== '';
    if (tcp === null || tcp.found !== found || routed) {
      tcp?.abandon();
      tcp = this.#carry(enforced, found, ignore);
    }
    this.#connection.tcp = tcp;
    tcp.start(head);
  }

  #carry(enforced: Enforced, found: Found, onSpeaks: () => void): OutboundTcp {
    const { upstreams, telemetry } = this.#options;
    const [connection, socket, original] = [this.#connection, this.#socket, this.#original];
    const parts = { connection, socket, original, found, enforced, upstreams, telemetry };
    return new OutboundTcp(parts, onSpeaks);
  }
}

function ignore(): void {}

const nothing = Buffer.alloc(0);
