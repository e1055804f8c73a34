// One exchange on a downstream connection: what layers can do with it, and how it ends.
import type { Socket } from 'node:net';

import type { RequestStream, UpstreamPool } from '../../exchange.ts';
import { failures } from '../../failures.ts';
import type { FailureCode } from '../../failures.ts';
import { refuse } from '../../request-path.ts';

import { Forwarding } from './forwarding.ts';
import { Http1Pool } from './pool.ts';
import { replyTo } from './respond.ts';

/** Nothing was sent, so another endpoint may be tried. */
const connectFailures: ReadonlySet<string> = new Set<FailureCode>([
  'upstream-connect',
  'connect-timeout',
  'upstream-tls',
]);

/**
 * Lives for one exchange, so that a layer that calls late, when the client is gone or the
 * connection is at its next request, reaches nobody.
 */
export class Turn extends Forwarding implements RequestStream {
  /** Not a request at all, so the layers never hear of it. */
  unheard = false;

  private pool: Http1Pool | null = null;
  private decided = false;

  // What layers call.

  reply(status: number, headers: string, body: string, close: boolean): void {
    const c = this.connection;
    if (c === null || this.decided) return;
    this.decided = true;
    const x = this.exchange;
    const closes = close || c.closesAfter() || !c.bodyDroppable();
    const reply = replyTo(x, status, headers, body, closes);
    x.status = reply.status;
    x.responseBodyBytes = reply.bodyBytes;
    this.headSent = true;
    c.socket.write(reply.text);
    this.finish(!closes);
  }

  forward(upstream: UpstreamPool): void {
    if (this.connection === null || this.decided) return;
    this.decided = true;
    if (this.exchange.request.method === 'CONNECT') this.fail('upgrade-refused');
    else this.request(upstream);
  }

  tunnel(upstream: Socket): void {
    const c = this.connection;
    if (c === null || this.decided) {
      upstream.destroy();
      return;
    }
    this.decided = true;
    const x = this.exchange;
    x.status = 200;
    this.headSent = true;
    c.socket.write('HTTP/1.1 200 OK\r\n\r\n');
    c.relayTo(upstream, (counters) => {
      x.requestBodyBytes = counters.receivedBytes;
      x.responseBodyBytes = counters.sentBytes;
      this.finish(false);
    });
  }

  serveInside(): void {
    const c = this.connection;
    if (c === null || this.decided) return;
    this.decided = true;
    this.connection = null;
    c.socket.write('HTTP/1.1 200 OK\r\n\r\n');
    c.turnOver(true);
  }

  // What the connection calls.

  /** Ends the exchange because its connection has to end now. */
  cutOff(): void {
    if (!this.headSent) this.fail('draining');
    else if (this.exchange.request.minor === 0) this.fail('downstream-gone');
    else {
      this.exchange.failure = failures.draining;
      this.upstream?.abort();
      this.finish(false);
    }
  }

  /** Ends the exchange with a failure: an answer if none has begun, else the connection breaks off. */
  override fail(code: FailureCode): void {
    const c = this.connection;
    if (c === null) return;
    const x = this.exchange;
    const { upstream } = this;
    this.upstream = null;
    upstream?.abort();
    const failure = failures[code];
    // A layer may still wait, and edit `request` later: no other request may be in it then.
    if (!this.decided) c.drain();
    if (this.headSent || failure.status === 0) {
      x.failure = failure;
      if (x.details === '') x.details = failure.details;
      c.breakOff();
      this.finish(false);
      return;
    }
    if (!this.bodySent && connectFailures.has(code)) {
      const next = c.path.retry?.(x, failure) ?? null;
      if (next !== null) {
        this.request(next);
        return;
      }
    }
    this.decided = false;
    this.sending = false;
    refuse(x, failure);
  }

  private request(upstream: UpstreamPool): void {
    if (!(upstream instanceof Http1Pool)) {
      this.fail('internal');
      return;
    }
    this.pool = upstream;
    this.exchange.upstreamAddress = upstream.address;
    upstream.request(this);
  }

  protected override stream(): RequestStream {
    return this;
  }

  protected override finish(keep: boolean): void {
    const c = this.connection;
    if (c === null) return;
    this.connection = null;
    const { upstream } = this;
    this.upstream = null;
    const x = this.exchange;
    if (upstream !== null && !this.tunnelled) {
      x.responseBodyBytes = upstream.bodyBytes;
      if (x.grpcStatus === '') x.grpcStatus = upstream.trailerGrpcStatus;
    } else if (upstream === null) this.pool?.cancel(this);
    if (!this.tunnelled && x.request.method !== 'CONNECT') x.requestBodyBytes = c.requestBody.bytes;
    x.finishedAtMs = performance.now();
    if (this.unheard) c.path.unheard?.(x);
    else c.path.finish(x);
    c.turnOver(keep);
  }
}
