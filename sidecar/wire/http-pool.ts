// Connections to one endpoint that may speak either version: HTTP/2 where it is agreed on, else HTTP/1.1.
import type { OnReadOpts, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import type { UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import type { Budget } from './budget.ts';
import type { Http1PoolLimits } from './http1/limits.ts';
import { Http1Pool } from './http1/pool.ts';
import { Http2ClientConnection, type ClientOwner } from './http2/client.ts';
import type { Http2Limits } from './http2/limits.ts';
import { Opening } from './opening.ts';
import { ReadTarget } from './read-target.ts';
import type { UpstreamCall } from './upstream.ts';
import { WaitingCalls } from './waiting.ts';

export interface HttpPoolOptions {
  /** `address:port`, for logs. */
  readonly address: string;
  /** A connection for HTTP/1.1 alone. */
  readonly connectHttp1: (onread?: OnReadOpts) => Socket;
  /** A connection that may agree on HTTP/2: by ALPN, or (in the clear) by prior knowledge. */
  readonly connectHttp2: (onread: OnReadOpts) => Socket;
  readonly http1: Readonly<Http1PoolLimits>;
  readonly http2: Readonly<Http2Limits>;
  /** Shared with the pools of other members. */
  readonly budget?: Budget | null;
}

/** Calls at once on one connection, from which on another one is worth its handshake. */
const busyStreams = 100;
/** Connections that are opened only to spread calls. */
const spreadMax = 4;

/** A pod that ends may still take a connection on its way to it; one that has ended answers nothing. */
const goneWaitMs = 1_000;

export class HttpPool implements UpstreamPool, ClientOwner {
  readonly address: string;
  readonly limits: Readonly<Http2Limits>;

  private readonly options: HttpPoolOptions;
  /** For calls that are to be made by HTTP/1.1. */
  readonly http1: Http1Pool;
  /** What the last connection agreed on. */
  private speaks: 'unknown' | 'http1' | 'http2' = 'unknown';
  private readonly open = new Set<Http2ClientConnection>();
  /** The connection that new calls go to while it has room: no search for the usual call. */
  private current: Http2ClientConnection | null = null;
  private opening: Opening | null = null;
  private readonly waiting: WaitingCalls;
  private readonly budget: Budget | null;
  private closing = false;
  /** Calls that are asked again in this turn of the loop. */
  private readonly replays: UpstreamCall[] = [];

  constructor(options: HttpPoolOptions) {
    this.options = options;
    this.address = options.address;
    this.limits = options.http2;
    const { address, connectHttp1: connect, http1: limits, budget = null } = options;
    this.budget = budget;
    // Where the first call has asked for a connection that does not open, nobody must be told that
    // there are too many: then nobody would try another endpoint.
    this.waiting = new WaitingCalls(limits, budget, () =>
      this.opening === null ? 'overloaded' : 'connect-timeout',
    );
    this.http1 = new Http1Pool({ address, connect, limits, budget });
  }

  /** Connections, busy ones included. */
  get connections(): number {
    return this.open.size + this.http1.connections;
  }

  request(call: UpstreamCall): void {
    // A tunnel takes a whole connection in any case.
    if (call.asksUpgrade) {
      this.http1.request(call);
      return;
    }
    const { current } = this;
    if (current?.hasRoom === true) {
      // With its last stream a connection retires, and is current no more.
      current.take(call);
      if (current.load > busyStreams) this.spread();
      return;
    }
    if (this.speaks === 'http1') {
      if (this.http1.connections > 0) {
        this.http1.request(call);
        return;
      }
      this.speaks = 'unknown';
    }
    this.current = this.roomiest();
    if (this.current !== null) this.current.take(call);
    else if (this.waiting.push(call)) this.openAnother();
  }

  cancel(call: UpstreamCall): void {
    this.http1.cancel(call);
    this.waiting.remove(call);
    const at = this.replays.indexOf(call);
    if (at >= 0) this.replays.splice(at, 1);
  }

  close(): void {
    this.closing = true;
    this.http1.close();
    for (const connection of this.open) connection.retire();
  }

  /** As `close`, for an endpoint that is gone: who waits for a connection to it had better ask another. */
  abandon(): void {
    this.close();
    this.waiting.shorten(goneWaitMs);
  }

  roomFor(connection: Http2ClientConnection): void {
    while (this.waiting.size > 0 && connection.hasRoom) this.grant(connection);
  }

  retired(connection: Http2ClientConnection): void {
    if (this.current === connection) this.current = null;
  }

  closed(connection: Http2ClientConnection): void {
    this.retired(connection);
    if (this.open.delete(connection)) this.count(-1);
    if (this.waiting.size > 0) this.openAnother();
  }

  replay(call: UpstreamCall): void {
    // Not from within the end of the connection that did not take it.
    this.replays.push(call);
    setImmediate(() => {
      const next = this.replays.shift();
      if (next !== undefined) this.request(next);
    });
  }

  /** The connection is busy: the next calls go to another one, so that the callee's workers share them. */
  private spread(): void {
    const best = this.roomiest();
    this.current = best;
    if (best !== null && best.load > busyStreams && this.open.size < spreadMax) this.openAnother();
  }

  private roomiest(): Http2ClientConnection | null {
    let best: Http2ClientConnection | null = null;
    for (const one of this.open) {
      if (one.hasRoom && (best === null || one.load < best.load)) best = one;
    }
    return best;
  }

  private openAnother(): void {
    const { connectHttp2, http1 } = this.options;
    if (this.opening !== null || !this.mayOpen()) return;
    let socket: Socket;
    const read = new ReadTarget();
    try {
      socket = connectHttp2(read.onread);
    } catch {
      // Not even a socket: no certificate yet, an address that is none.
      this.failWaiting('upstream-connect');
      return;
    }
    this.count(1);
    this.opening = new Opening(socket, http1.connectTimeoutMs, (failure) => {
      this.opening = null;
      if (failure === null) this.opened(socket, read);
      else {
        this.count(-1);
        this.failWaiting(failure);
      }
    });
  }

  private opened(socket: Socket, read: ReadTarget): void {
    const alpn = 'encrypted' in socket ? (socket as TLSSocket).alpnProtocol : 'h2';
    if (alpn !== 'h2' && alpn !== 'istio-h2') {
      this.speaks = 'http1';
      // The other pool counts it from now on.
      this.count(-1);
      this.http1.adopt({ socket, read });
      for (const call of this.waiting.takeAll()) this.http1.request(call);
      return;
    }
    this.speaks = 'http2';
    const connection = new Http2ClientConnection(this, socket);
    read.take = (size, buffer) => {
      connection.push(buffer, 0, size);
      return true;
    };
    this.open.add(connection);
    this.current = connection;
    this.roomFor(connection);
    if (this.closing) connection.retire();
    else if (this.waiting.size > 0) this.openAnother();
  }

  private grant(connection: Http2ClientConnection): void {
    const next = this.waiting.shift();
    if (next !== null) connection.take(next);
  }

  private failWaiting(failure: FailureCode): void {
    for (const call of this.waiting.takeAll()) call.failed(failure);
  }

  /** As for HTTP/1.1: one connection there may always be. */
  private mayOpen(): boolean {
    const { open, budget } = this;
    const shared = budget === null || open.size === 0 || budget.connections < budget.connectionsMax;
    if (shared && open.size < this.options.http1.connectionsMax) return true;
    budget?.noteConnectionRefused();
    return false;
  }

  private count(change: number): void {
    if (this.budget !== null) this.budget.connections += change;
  }
}
