// One connection of the application to the outbound listener.
import type { Socket } from 'node:net';

import type { ConnectionFacts } from '#policy/facts.ts';

import type { LiveConnection } from '../connections.ts';
import type { Downstream } from '../exchange.ts';
import type { HttpConnection } from '../wire/http-server.ts';

export class OutboundConnection implements Downstream, LiveConnection {
  readonly direction = 'outbound';
  readonly facts: ConnectionFacts;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly forwardedClientCert = '';
  readonly deadlineMs = 0;
  telemetry: unknown = null;
  http: HttpConnection | null = null;

  constructor(socket: Socket) {
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    this.facts = Object.freeze({
      mtls: false,
      identities: [],
      sourceIp: this.remoteAddress,
      destinationIp: this.localAddress,
      destinationPort: this.localPort,
      sni: '',
    });
  }

  /** Policies judge callers, and the application's own calls are judged where they arrive. */
  judge(): string {
    return '';
  }

  revoke(): void {
    this.http?.close();
  }

  drain(): void {
    this.http?.drain();
  }

  close(): void {
    this.http?.close();
  }
}
