// Serves HTTP/1.1 on sockets that a listener has accepted, by the request path it was given.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../../exchange.ts';

import { Http1Connection } from './connection.ts';
import type { Http1Limits } from './limits.ts';

export interface Http1ServerOptions {
  readonly limits: Readonly<Http1Limits>;
  readonly path: RequestPath;
  readonly becomeHttp2?: ConnectionHost['becomeHttp2'];
}

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly limits: Readonly<Http1Limits>;
  readonly path: RequestPath;
  /** What the connection carries turns out to be HTTP/2, from `bytes` on; null: nothing speaks it. */
  readonly becomeHttp2: ((connection: Http1Connection, bytes: Buffer) => void) | null;
  closed(connection: Http1Connection): void;
}

export class Http1Server implements ConnectionHost {
  readonly limits: Readonly<Http1Limits>;
  readonly path: RequestPath;
  readonly becomeHttp2: ConnectionHost['becomeHttp2'];
  private readonly open = new Set<Http1Connection>();
  private draining = false;

  constructor(options: Http1ServerOptions) {
    this.limits = options.limits;
    this.path = options.path;
    this.becomeHttp2 = options.becomeHttp2 ?? null;
  }

  get connections(): number {
    return this.open.size;
  }

  /**
   * Serves a connected (and for TLS: authenticated) socket until it closes.
   * @param firstBytes what was read from it already
   */
  accept(socket: Socket, downstream: Downstream, firstBytes: Buffer | null): Http1Connection {
    const connection = new Http1Connection(this, socket, downstream);
    this.open.add(connection);
    if (firstBytes !== null && firstBytes.length > 0) connection.input.push(firstBytes);
    if (this.draining) connection.drain();
    return connection;
  }

  /** Every connection ends after its present exchange; idle ones now. */
  drain(): void {
    this.draining = true;
    for (const connection of this.open) connection.drain();
  }

  closed(connection: Http1Connection): void {
    this.open.delete(connection);
  }
}
