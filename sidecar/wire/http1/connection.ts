// A downstream connection: one exchange after another, kept to time and bounds, ended in good order.
import type { Socket } from 'node:net';

import type { Downstream } from '../../exchange.ts';
import { startsHttp2 } from '../http2/frames.ts';
import { deadlineIn, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';
import { relayIdleTimeoutMs } from '../tcp.ts';
import type { ByteStream, Relay, RelayCounters } from '../tcp.ts';
import { TurnWriter } from '../turn-writer.ts';

import { openTunnel } from './connect-tunnel.ts';
import { closesAfter, isDroppable } from './keep-alive.ts';
import type { Http1Limits } from './limits.ts';
import { RequestReader } from './request-reader.ts';
import type { ConnectionHost } from './server.ts';
import { Turn } from './turn.ts';

export class Http1Connection extends RequestReader implements Sweepable {
  private gathering: TurnWriter | null = null;
  private relaying: Relay | null = null;
  private gone = false;

  constructor(host: ConnectionHost, socket: Socket, downstream: Downstream) {
    super(host, socket, downstream);
    watch(this);
  }

  /** Ends the connection now; the exchange that is under way is cut off. */
  close(): void {
    if (this.relaying !== null) this.relaying.close();
    else if (this.turn !== null) this.turn.cutOff();
    else this.linger();
  }

  /** Ends the connection after the present exchange. @param begun a head that is not whole counts */
  drain(begun = true): void {
    const idle = this.turn === null && !this.request.begun && !this.dropping;
    const again = this.closing;
    this.closing = true;
    if (this.turn !== null || (begun && !idle)) return;
    // A client that asks again just now would lose its request: it is answered, and told to close.
    const graceMs = begun && !again ? this.limits.drainIdleMs : 0;
    if (graceMs > 0 && this.requests > 0) this.deadlineMs = deadlineIn(graceMs);
    else this.linger();
  }

  /** What an upstream of HTTP/2 answers goes out through it. */
  get out(): TurnWriter {
    this.gathering ??= new TurnWriter(this.socket);
    return this.gathering;
  }

  get limits(): Readonly<Http1Limits> {
    return this.host.limits;
  }

  // What its turn calls.

  /** The present exchange is the last. */
  closesAfter(): boolean {
    if (this.closing || closesAfter(this.request, this.requestBody)) return true;
    const { requestsPerConnectionMax: max } = this.host.limits;
    return max > 0 && this.requests >= max;
  }

  bodyDroppable(): boolean {
    return isDroppable(this.request, this.requestBody, this.host.limits.drainBytesMax);
  }

  /** The turn can go on: uses bytes that waited, reads on if there is room. */
  wake(): void {
    if (!this.gone) this.input.wake();
  }

  becomeTunnel(): void {
    this.socket.allowHalfOpen = true;
    this.wake();
  }

  /** Gives the socket to a relay; `over` is called at its end. */
  relayTo(upstream: ByteStream, over: (counters: RelayCounters) => void): void {
    const { socket } = this;
    this.deadlineMs = 0;
    this.detachTraffic();
    const rest = this.input.take();
    const onOver = (counters: RelayCounters): void => {
      this.relaying = null;
      over(counters);
    };
    const { streamIdleTimeoutMs } = this.host.limits;
    this.relaying = openTunnel(socket, rest, upstream, streamIdleTimeoutMs, onOver);
  }

  /** What comes next is a connection of its own, inside this one; it may be HTTP/2. */
  beginAnew(): void {
    this.requests = 0;
    this.turnOver(true);
  }

  /** The answer has begun and cannot be completed: the client must not take it for whole. */
  breakOff(): void {
    this.lingering = true;
    // A body that ends by closing must not look whole.
    if (this.request.minor === 0 && this.scheme === 'http') this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  turnOver(keep: boolean): void {
    this.turn = null;
    this.upstreamFull = false;
    const ends = !keep || this.closing || !this.bodyDroppable();
    this.request.clear();
    if (ends) {
      this.linger();
      return;
    }
    this.dropping = !this.requestBody.done;
    this.discard.begin();
    const { drainTimeoutMs, idleTimeoutMs } = this.host.limits;
    this.deadlineMs = deadlineIn(this.dropping ? drainTimeoutMs : idleTimeoutMs);
    this.wake();
  }

  expire(): void {
    if (this.lingering) this.socket.destroy();
    else if (this.turn !== null) {
      this.turn.fail(this.requestBody.done ? 'upstream-timeout' : 'request-timeout');
    } else if (this.request.begun) this.refuseHead('request-timeout');
    else this.linger();
  }

  /** What is no request line of ours may be the first bytes of HTTP/2 (RFC 9113 3.4). */
  protected override becomesHttp2(): boolean {
    const { request, host } = this;
    const { buffer, start, limit } = request;
    if (host.becomeHttp2 === null || !startsHttp2(buffer, start, limit)) return false;
    const bytes = buffer.subarray(start, limit);
    this.gone = true;
    this.lingering = true;
    unwatch(this);
    this.detach();
    this.input.take();
    host.closed(this);
    host.becomeHttp2(this, bytes);
    return true;
  }

  /**
   * Ends our side and drops what still comes, for a while: to close with bytes unread would reset
   * the connection, and the answer could be lost on its way (RFC 9112 9.6).
   */
  protected override newTurn(startedAtMs: number): Turn {
    return new Turn(this, startedAtMs);
  }

  protected override linger(): void {
    if (this.lingering) return;
    this.lingering = true;
    this.dropping = false;
    this.discard.begin();
    this.request.clear();
    const { drainTimeoutMs, streamIdleTimeoutMs } = this.host.limits;
    this.deadlineMs = deadlineIn(streamIdleTimeoutMs || relayIdleTimeoutMs);
    this.socket.end(() => {
      this.deadlineMs = deadlineIn(drainTimeoutMs);
    });
    this.wake();
  }

  protected override received(chunk: Buffer): void {
    this.input.push(chunk);
  }

  protected override drained(): void {
    this.turn?.resume();
    this.wake();
  }

  protected override ended(): void {
    // With nothing under way there is nobody left to wait for.
    if (this.turn === null) this.socket.destroySoon();
    else if (this.turn.tunnelled) this.turn.downstreamEnd();
    else this.turn.fail('downstream-gone');
  }

  protected override closed(): void {
    this.gone = true;
    this.lingering = true;
    unwatch(this);
    this.input.take();
    if (this.relaying === null) this.turn?.fail('downstream-gone');
    this.host.closed(this);
  }
}
