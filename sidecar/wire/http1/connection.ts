// A downstream connection: reads requests one after another, keeps time and bounds, ends in good order.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../../exchange.ts';
import type { FailureCode } from '../../failures.ts';
import { deadlineIn, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';
import { relay, relayIdleTimeoutMs } from '../tcp.ts';
import type { Relay, RelayCounters } from '../tcp.ts';

import { BodyCursor } from './body.ts';
import type { Http1Limits } from './limits.ts';
import { RequestHead } from './request-head.ts';
import { Turn } from './turn.ts';

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly limits: Readonly<Http1Limits>;
  readonly path: RequestPath;
  closed(connection: Http1Connection): void;
}

export class Http1Connection implements Sweepable {
  readonly socket: Socket;
  readonly downstream: Downstream;
  readonly path: RequestPath;
  readonly request: RequestHead;
  readonly requestBody: BodyCursor;
  deadlineMs: number;
  /** End of the body bytes that came with the head, in `request.buffer`. */
  firstEnd = 0;
  /** The upstream's buffers are full. */
  upstreamFull = false;

  private readonly host: ConnectionHost;
  private turn: Turn | null = null;
  private relaying: Relay | null = null;
  /** Bytes read and not used yet, from `from` to `to`. */
  private input: Buffer | null = null;
  private from = 0;
  private to = 0;
  private consuming = false;
  private paused = false;
  private requests = 0;
  private startedAtMs = 0;
  private closing = false;
  /** Nothing is served any more: what comes is dropped until the peer ends too. */
  private lingering = false;
  private gone = false;
  /** The rest of a request body that nobody wants. */
  private dropping = false;
  private droppedBytes = 0;
  private readonly scheme: string;

  private readonly onData = (chunk: Buffer): void => this.read(chunk);
  private readonly onEnd = (): void => this.ended();
  private readonly onDrain = (): void => this.drained();
  private readonly onClose = (): void => this.closed();

  constructor(host: ConnectionHost, socket: Socket, downstream: Downstream) {
    this.host = host;
    this.path = host.path;
    this.socket = socket;
    this.downstream = downstream;
    this.request = new RequestHead(host.limits);
    this.requestBody = new BodyCursor(host.limits);
    this.scheme = 'encrypted' in socket ? 'https' : 'http';
    this.deadlineMs = deadlineIn(host.limits.idleTimeoutMs);
    watch(this);
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('drain', this.onDrain);
    socket.on('close', this.onClose);
    // 'close' follows, and says all that matters.
    socket.on('error', ignore);
  }

  /** Ends the connection now; the exchange that is under way is cut off. */
  close(): void {
    if (this.relaying !== null) this.relaying.close();
    else if (this.turn !== null) this.turn.cutOff();
    else this.linger();
  }

  /** Ends the connection after the present exchange. */
  drain(): void {
    this.closing = true;
    if (this.turn === null && !this.request.begun && !this.dropping) this.linger();
  }

  read(chunk: Buffer): void {
    if (this.input === null) {
      this.input = chunk;
      this.from = 0;
      this.to = chunk.length;
    } else {
      this.input = Buffer.concat([this.input.subarray(this.from, this.to), chunk]);
      this.from = 0;
      this.to = this.input.length;
    }
    this.consume();
  }

  // What its turn calls.

  /** The present exchange is the last. */
  closesAfter(): boolean {
    const { request } = this;
    const { requestsPerConnectionMax: max } = this.host.limits;
    if (this.closing || request.close || request.minor === 0) return true;
    // The client may never send a body that it was not told to continue with.
    if (request.expectsContinue && !this.requestBody.done && this.requestBody.bytes === 0)
      return true;
    // What follows a refused upgrade may not be HTTP at all (RFC 9110 7.8).
    if (request.upgradeAsked || request.method === 'CONNECT') return true;
    return max > 0 && this.requests >= max;
  }

  /** Whether the rest of the request's body may be read and dropped to keep the connection. */
  bodyWelcome(): boolean {
    const { request, requestBody } = this;
    if (requestBody.done) return true;
    if (request.expectsContinue) return false;
    return request.contentLength - requestBody.bytes <= this.host.limits.drainBytesMax;
  }

  /** The turn can go on: uses bytes that waited, reads on if there is room. */
  wake(): void {
    if (this.consuming || this.gone) return;
    if (this.input !== null) this.consume();
    else this.flow();
  }

  /** A byte moved. */
  progressed(): void {
    this.deadlineMs = deadlineIn(this.host.limits.streamIdleTimeoutMs);
  }

  becomeTunnel(): void {
    this.socket.allowHalfOpen = true;
    this.wake();
  }

  /** Gives the socket to a relay; `over` is called at its end. */
  relayTo(upstream: Socket, over: (counters: RelayCounters) => void): void {
    const { socket } = this;
    const counters = { receivedBytes: 0, sentBytes: 0 };
    this.deadlineMs = 0;
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('drain', this.onDrain);
    socket.allowHalfOpen = true;
    if (this.from < this.to) socket.unshift(this.input!.subarray(this.from, this.to));
    this.input = null;
    this.from = this.to;
    const idleTimeoutMs = this.host.limits.streamIdleTimeoutMs || relayIdleTimeoutMs;
    const onEnd = (): void => {
      this.relaying = null;
      over(counters);
    };
    this.relaying = relay({ downstream: socket, upstream, counters, idleTimeoutMs, onEnd });
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
    const ends = !keep || this.closing || !this.bodyWelcome();
    this.request.clear();
    if (ends) {
      this.linger();
      return;
    }
    this.dropping = !this.requestBody.done;
    this.droppedBytes = 0;
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

  private consume(): void {
    if (this.consuming) return;
    this.consuming = true;
    while (this.from < this.to && this.step());
    this.consuming = false;
    if (this.from >= this.to) this.input = null;
    this.flow();
  }

  /** Uses some of the input. @returns false: the rest has to wait */
  private step(): boolean {
    if (this.lingering) return this.dropInput();
    if (this.dropping) return this.dropBody();
    const { turn } = this;
    if (turn === null) return !this.socket.writableNeedDrain && this.readHead();
    if (turn.tunnelled) {
      this.progressed();
      const { input, from } = this;
      this.from = this.to;
      turn.send(input!, from, this.to);
      return true;
    }
    return turn.sending && !this.requestBody.done && this.readBody(turn);
  }

  private readHead(): boolean {
    const { request, requestBody } = this;
    const { headTimeoutMs, bodyBytesMax } = this.host.limits;
    const begun = request.begun;
    if (!begun) this.startedAtMs = performance.now();
    const state = request.feed(this.input!, this.from, this.to);
    if (state === 'more') {
      this.from = this.to;
      if (!begun) this.deadlineMs = deadlineIn(headTimeoutMs);
      return true;
    }
    if (state !== 'done') return this.refuseHead(state === 'malformed' ? state : 'head-too-large');
    requestBody.begin(request.chunked, Math.max(0, request.contentLength));
    const { end, limit } = request;
    const first = requestBody.done ? end : requestBody.take(request.buffer, end, limit);
    if (first < 0) return this.refuseHead('malformed');
    this.input = request.buffer;
    this.from = this.firstEnd = first;
    this.to = limit;
    this.requests++;
    this.progressed();
    request.scheme = this.scheme;
    const turn = (this.turn = new Turn(this, this.startedAtMs));
    if (bodyBytesMax > 0 && Math.max(request.contentLength, requestBody.bytes) > bodyBytesMax) {
      turn.fail('body-too-large');
    } else this.path.start(turn.exchange);
    return true;
  }

  private readBody(turn: Turn): boolean {
    const { input, from, requestBody } = this;
    const { bodyBytesMax } = this.host.limits;
    this.progressed();
    const end = requestBody.take(input!, from, this.to);
    if (end < 0) {
      this.closing = true;
      turn.fail('malformed');
      return true;
    }
    this.from = end;
    if (bodyBytesMax > 0 && requestBody.bytes > bodyBytesMax) turn.fail('body-too-large');
    else turn.send(input!, from, end);
    return true;
  }

  private dropBody(): boolean {
    const end = this.requestBody.take(this.input!, this.from, this.to);
    this.droppedBytes += end - this.from;
    if (end < 0 || this.droppedBytes > this.host.limits.drainBytesMax) {
      this.linger();
      return true;
    }
    this.from = end;
    if (!this.requestBody.done) return true;
    this.dropping = false;
    this.deadlineMs = deadlineIn(this.host.limits.idleTimeoutMs);
    return true;
  }

  private dropInput(): boolean {
    this.droppedBytes += this.to - this.from;
    this.from = this.to;
    if (this.droppedBytes > this.host.limits.drainBytesMax) this.socket.destroySoon();
    return true;
  }

  /** Answers a head that is no request; layers never see it. */
  private refuseHead(code: FailureCode): boolean {
    this.closing = true;
    this.request.blank();
    this.requestBody.begin(false, 0);
    this.turn = new Turn(this, this.startedAtMs);
    this.turn.unheard = true;
    this.turn.fail(code);
    return true;
  }

  /**
   * Ends our side and drops what still comes, for a while: to close with bytes unread would reset
   * the connection, and the answer could be lost on its way (RFC 9112 9.6).
   */
  private linger(): void {
    if (this.lingering) return;
    this.lingering = true;
    this.dropping = false;
    this.droppedBytes = 0;
    this.request.clear();
    const { drainTimeoutMs, streamIdleTimeoutMs } = this.host.limits;
    this.deadlineMs = deadlineIn(streamIdleTimeoutMs || relayIdleTimeoutMs);
    this.socket.end(() => {
      this.deadlineMs = deadlineIn(drainTimeoutMs);
    });
    this.wake();
  }

  /** Reads on exactly when there is nothing left to use and room for more. */
  private flow(): void {
    const wants = this.lingering || (this.input === null && !this.upstreamFull);
    if (wants !== this.paused || this.gone) return;
    this.paused = !wants;
    if (wants) this.socket.resume();
    else this.socket.pause();
  }

  private drained(): void {
    if (this.turn !== null) this.turn.resume();
    this.wake();
  }

  private ended(): void {
    if (this.turn === null) {
      this.linger();
      // The peer ended too, there is nothing left to wait for.
      this.socket.destroySoon();
    } else if (this.turn.tunnelled) this.turn.downstreamEnd();
    else this.turn.fail('downstream-gone');
  }

  private closed(): void {
    this.gone = true;
    this.lingering = true;
    unwatch(this);
    this.input = null;
    this.from = this.to;
    if (this.relaying === null) this.turn?.fail('downstream-gone');
    this.host.closed(this);
  }
}

function ignore(): void {
  // Nothing: see where it is used.
}
