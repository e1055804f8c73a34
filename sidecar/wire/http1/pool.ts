// Connections to one endpoint: the one used last is used next, so that the others can grow idle and close.
import type { FailureCode } from '../../failures.ts';
import type { UpstreamPool } from '../../exchange.ts';
import { deadlineIn, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';
import type { UpstreamCall } from '../upstream.ts';

import { UpstreamConnection } from './client.ts';
import type { Connect, ConnectionOwner, OpenSocket } from './connection-owner.ts';
import type { Http1PoolLimits } from './limits.ts';

export interface Http1PoolOptions {
  /** `address:port`, for logs. */
  readonly address: string;
  readonly connect: Connect;
  readonly limits: Readonly<Http1PoolLimits>;
}

interface Waiting {
  readonly call: UpstreamCall;
  readonly dueMs: number;
}

export class Http1Pool implements UpstreamPool, ConnectionOwner, Sweepable {
  readonly address: string;
  readonly connect: Connect;
  readonly limits: Readonly<Http1PoolLimits>;
  deadlineMs = 0;

  private readonly idle: UpstreamConnection[] = [];
  private readonly waiting: Waiting[] = [];
  private open = 0;
  private closing = false;

  constructor(options: Http1PoolOptions) {
    this.address = options.address;
    this.connect = options.connect;
    this.limits = options.limits;
  }

  /** Connections, busy ones included. */
  get connections(): number {
    return this.open;
  }

  /** Grants the call a connection at once, or later, or fails it: 'overloaded'. */
  request(call: UpstreamCall): void {
    const connection = this.idle.pop();
    if (connection !== undefined) connection.take(call);
    else if (this.open < this.limits.connectionsMax) this.grantNew(call);
    else this.wait(call);
  }

  /** A call that waits wants nothing any more. */
  cancel(call: UpstreamCall): void {
    const at = this.waiting.findIndex((one) => one.call === call);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  /** Takes over a socket that is open, for the next request. */
  adopt(adopted: OpenSocket): void {
    this.open++;
    this.released(new UpstreamConnection(this, adopted));
  }

  close(): void {
    this.closing = true;
    for (const connection of this.idle.splice(0)) connection.destroy();
  }

  released(connection: UpstreamConnection): void {
    const next = this.waiting.shift();
    // Not from within the end of another exchange, whose last bytes are not written yet.
    if (next !== undefined) setImmediate(() => this.handOver(connection, next.call));
    else if (this.closing) connection.destroy();
    else this.idle.push(connection);
  }

  closed(connection: UpstreamConnection, replay: UpstreamCall | null): void {
    this.open--;
    const at = this.idle.lastIndexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    if (replay !== null) {
      // Others of the same age are as stale; only a new connection is worth a second try.
      this.grantNew(replay);
      return;
    }
    const next = this.waiting.shift();
    if (next !== undefined) setImmediate(() => this.request(next.call));
  }

  expire(): void {
    const nowMs = performance.now();
    while (this.waiting.length > 0 && this.waiting[0]!.dueMs <= nowMs) {
      this.waiting.shift()!.call.failed('overloaded' satisfies FailureCode);
    }
    const first = this.waiting[0];
    if (first === undefined) unwatch(this);
    else this.deadlineMs = first.dueMs;
  }

  private grantNew(call: UpstreamCall): void {
    this.open++;
    let connection: UpstreamConnection;
    try {
      connection = new UpstreamConnection(this);
    } catch {
      // Not even a socket: no certificate yet, an address that is none.
      this.open--;
      call.failed('upstream-connect');
      return;
    }
    connection.take(call);
  }

  private handOver(connection: UpstreamConnection, call: UpstreamCall): void {
    if (connection.dead) this.request(call);
    else connection.take(call);
  }

  private wait(call: UpstreamCall): void {
    if (this.waiting.length >= this.limits.pendingMax) {
      call.failed('overloaded');
      return;
    }
    const dueMs = deadlineIn(this.limits.connectTimeoutMs);
    this.waiting.push({ call, dueMs });
    if (this.waiting.length > 1) return;
    this.deadlineMs = dueMs;
    watch(this);
  }
}
