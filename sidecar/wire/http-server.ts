// Serves HTTP of either version on sockets that a listener has accepted, by the request path it was given.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../exchange.ts';

import type { Http1Connection } from './http1/connection.ts';
import type { Http1Limits } from './http1/limits.ts';
import { Http1Server } from './http1/server.ts';
import type { Http2Limits } from './http2/limits.ts';
import { Http2Connection, type Http2Host } from './http2/server.ts';

export interface HttpServerOptions {
  readonly http1: Readonly<Http1Limits>;
  readonly http2: Readonly<Http2Limits>;
  readonly path: RequestPath;
}

/** A connection that is served, whatever it speaks. */
export interface HttpConnection {
  /** Ends it now; exchanges that are under way are cut off. */
  close(): void;
  /** Ends it after what is under way. @param begun false: a request that is not whole is not served */
  drain(begun?: boolean): void;
}

/** What a TLS client and we agreed on that says HTTP/2 (RFC 9113 3.2, and Istio's name for it). */
const http2Protocols: ReadonlySet<string> = new Set(['h2', 'istio-h2']);

export class HttpServer implements Http2Host {
  readonly limits: Readonly<Http2Limits>;
  readonly path: RequestPath;
  private readonly http1: Http1Server;
  private readonly served = new WeakMap<Http1Connection, Served>();

  constructor(options: HttpServerOptions) {
    this.path = options.path;
    this.limits = options.http2;
    this.http1 = new Http1Server({
      limits: options.http1,
      path: options.path,
      becomeHttp2: (connection, bytes) => this.become(connection, bytes),
    });
  }

  /**
   * Serves a connected (and for TLS: authenticated) socket until it closes.
   * @param firstBytes what was read from it already
   * @param alpn what was negotiated; unless that says HTTP/2, its first bytes may
   * @param declaredHttp2 the port is declared to speak HTTP/2
   */
  accept(
    socket: Socket,
    downstream: Downstream,
    firstBytes: Buffer | null,
    alpn = '',
    declaredHttp2 = false,
  ): HttpConnection {
    const served = new Served();
    if (http2Protocols.has(alpn)) {
      served.connection = this.serveHttp2(socket, downstream, firstBytes);
      return served;
    }
    const connection = this.http1.accept(socket, downstream, null);
    connection.wantsHttp2 = declaredHttp2;
    served.connection = connection;
    this.served.set(connection, served);
    if (firstBytes !== null && firstBytes.length > 0) connection.input.push(firstBytes);
    return served;
  }

  closed(): void {
    // The listener's registry hears of it from the socket.
  }

  private become(http1: Http1Connection, bytes: Buffer): void {
    const { socket, downstream } = http1;
    const served = this.served.get(http1);
    const connection = this.serveHttp2(socket, downstream, bytes);
    socket.resume();
    if (served !== undefined) served.become(connection);
  }

  private serveHttp2(
    socket: Socket,
    downstream: Downstream,
    firstBytes: Buffer | null,
  ): Http2Connection {
    const connection = new Http2Connection(this, socket, downstream);
    if (firstBytes !== null && firstBytes.length > 0) {
      connection.push(firstBytes, 0, firstBytes.length);
    }
    return connection;
  }
}

class Served implements HttpConnection {
  connection: HttpConnection | null = null;
  private draining = false;

  close(): void {
    this.connection?.close();
  }

  drain(begun = true): void {
    this.draining = true;
    this.connection?.drain(begun);
  }

  become(connection: HttpConnection): void {
    this.connection = connection;
    if (this.draining) connection.drain();
  }
}
