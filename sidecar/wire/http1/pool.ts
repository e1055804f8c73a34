// Connections to one endpoint: the one used last is used next, so that the others can grow idle and close.
import type { UpstreamPool } from '../../exchange.ts';
import type { Budget } from '../budget.ts';
import type { UpstreamCall } from '../upstream.ts';
import { WaitingCalls } from '../waiting.ts';

import { UpstreamConnection } from './client.ts';
import type { Connect, ConnectionOwner, OpenSocket } from './connection-owner.ts';
import type { Http1PoolLimits } from './limits.ts';

export interface Http1PoolOptions {
  /** `address:port`, for logs. */
  readonly address: string;
  readonly connect: Connect;
  readonly limits: Readonly<Http1PoolLimits>;
  /** Shared with other pools. */
  readonly budget?: Budget | null;
}

export class Http1Pool implements UpstreamPool, ConnectionOwner {
  readonly address: string;
  readonly connect: Connect;
  readonly limits: Readonly<Http1PoolLimits>;

  private readonly idle: UpstreamConnection[] = [];
  private readonly waiting: WaitingCalls;
  private readonly budget: Budget | null;
  private open = 0;
  private closing = false;

  constructor(options: Http1PoolOptions) {
    this.address = options.address;
    this.connect = options.connect;
    this.limits = options.limits;
    this.budget = options.budget ?? null;
    this.waiting = new WaitingCalls(this.limits, this.budget);
  }

  /** Connections, busy ones included. */
  get connections(): number {
    return this.open;
  }

  /** Grants the call a connection at once, or later, or fails it: 'overloaded'. */
  request(call: UpstreamCall): void {
    const connection = this.idle.pop();
    if (connection !== undefined) connection.take(call);
    else if (this.mayOpen()) this.grantNew(call);
    else this.waiting.push(call);
  }

  /** A call that waits wants nothing any more. */
  cancel(call: UpstreamCall): void {
    this.waiting.remove(call);
  }

  /** Takes over a socket that is open, for the next request. */
  adopt(adopted: OpenSocket): void {
    this.count(1);
    this.released(new UpstreamConnection(this, adopted));
  }

  close(): void {
    this.closing = true;
    for (const connection of this.idle.splice(0)) connection.destroy();
  }

  released(connection: UpstreamConnection): void {
    // Not from within the end of another exchange, whose last bytes are not written yet.
    if (this.waiting.size > 0) setImmediate(() => this.handOver(connection));
    else this.rest(connection);
  }

  closed(connection: UpstreamConnection, replay: UpstreamCall | null): void {
    this.count(-1);
    const at = this.idle.lastIndexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    if (replay !== null) {
      // Others of the same age are as stale; only a new connection is worth a second try.
      this.grantNew(replay);
      return;
    }
    if (this.waiting.size > 0) setImmediate(() => this.callNext());
  }

  /** A pool without a connection may always have one, or calls to its endpoint would never end. */
  private mayOpen(): boolean {
    const { budget, open } = this;
    const shared = budget === null || open === 0 || budget.connections < budget.connectionsMax;
    if (shared && open < this.limits.connectionsMax) return true;
    budget?.noteConnectionRefused();
    return false;
  }

  private count(change: number): void {
    this.open += change;
    if (this.budget !== null) this.budget.connections += change;
  }

  private grantNew(call: UpstreamCall): void {
    this.count(1);
    let connection: UpstreamConnection;
    try {
      connection = new UpstreamConnection(this);
    } catch {
      // Not even a socket: no certificate yet, an address that is none.
      this.count(-1);
      call.failed('upstream-connect');
      return;
    }
    connection.take(call);
  }

  /** Whoever waits now: who waited a moment ago may have given up since, and ask elsewhere. */
  private handOver(connection: UpstreamConnection): void {
    if (connection.dead) {
      this.callNext();
      return;
    }
    const next = this.waiting.shift();
    if (next === null) this.rest(connection);
    else connection.take(next);
  }

  private callNext(): void {
    const next = this.waiting.shift();
    if (next !== null) this.request(next);
  }

  private rest(connection: UpstreamConnection): void {
    if (this.closing) connection.destroy();
    else this.idle.push(connection);
  }
}
