// One connection of the application to the outbound listener.
import { isIP, type Socket } from 'node:net';

import type { ConnectionFacts } from '#policy/facts.ts';

import type { LiveConnection } from '../connections.ts';
import type { Downstream } from '../exchange.ts';
import type { HttpConnection } from '../wire/http-server.ts';
import { reset } from '../wire/reset.ts';
import type { OriginalDestination } from './original-destination.ts';

export class OutboundConnection implements Downstream, LiveConnection {
  readonly direction = 'outbound';
  facts: ConnectionFacts;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly forwardedClientCert = '';
  readonly deadlineMs = 0;
  telemetry: unknown = null;
  http: HttpConnection | null = null;
  /** What carries it as bytes. */
  tcp: { close(): void } | null = null;
  /** Where the application connected to, as it believes; null: to the HTTP proxy. */
  readonly original: OriginalDestination | null;
  readonly #socket: Socket;

  constructor(socket: Socket, original: OriginalDestination | null = null) {
    this.#socket = socket;
    this.original = original;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    // As Envoy, logs name the address that the application knows.
    const known = original !== null && isIP(original.host) !== 0 ? original : null;
    this.localAddress = known?.host ?? socket.localAddress ?? '';
    this.localPort = known?.port ?? socket.localPort ?? 0;
    this.facts = this.#makeFacts('');
  }

  /** The server name that the application's own TLS asks for. */
  setServerName(sni: string): void {
    this.facts = this.#makeFacts(sni);
  }

  /** Policies judge callers, and the application's own calls are judged where they arrive. */
  judge(): string {
    return '';
  }

  revoke(): void {
    this.close();
  }

  /** Bytes have no end of their own to wait for but the connection's; the deadline closes it. */
  drain(): void {
    this.http?.drain();
  }

  close(): void {
    if (this.http !== null) this.http.close();
    else if (this.tcp !== null) this.tcp.close();
    else reset(this.#socket);
  }

  #makeFacts(sni: string): ConnectionFacts {
    return Object.freeze({
      mtls: false,
      identities: [],
      sourceIp: this.remoteAddress,
      destinationIp: this.localAddress,
      destinationPort: this.localPort,
      sni,
    });
  }
}
