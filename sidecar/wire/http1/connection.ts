// A downstream connection: reads requests one after another, keeps time and bounds, ends in good order.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../../exchange.ts';
import type { FailureCode } from '../../failures.ts';
import { startsHttp2 } from '../http2/frames.ts';
import { deadlineIn, unwatch, watch } from '../sweep.ts';
import type { Sweepable } from '../sweep.ts';
import { relayIdleTimeoutMs } from '../tcp.ts';
import type { Relay, RelayCounters } from '../tcp.ts';
import { TurnWriter } from '../turn-writer.ts';

import { BodyCursor } from './body.ts';
import { openTunnel } from './connect-tunnel.ts';
import { Input } from './input.ts';
import type { Consumer } from './input.ts';
import { closesAfter, isDroppable } from './keep-alive.ts';
import type { Http1Limits } from './limits.ts';
import { RequestHead } from './request-head.ts';
import type { ConnectionHost } from './server.ts';
import { Turn } from './turn.ts';

export class Http1Connection implements Sweepable, Consumer {
  readonly socket: Socket;
  readonly downstream: Downstream;
  readonly path: RequestPath;
  readonly request: RequestHead;
  readonly requestBody: BodyCursor;
  readonly input: Input;
  deadlineMs: number;
  /** End of the body bytes that came with the head, in `request.buffer`. */
  firstEnd = 0;
  /** The client is to speak HTTP/2: an answer in HTTP/1.1 to what is neither would only confuse it. */
  wantsHttp2 = false;
  /** The upstream's buffers are full. */
  upstreamFull = false;

  private readonly host: ConnectionHost;
  private turn: Turn | null = null;
  private gathering: TurnWriter | null = null;
  private relaying: Relay | null = null;

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

  private readonly onData = (chunk: Buffer): void => this.input.push(chunk);
  /** Content of a chunked body; several of its chunks may come in one read. */
  private readonly onContent = (buffer: Buffer, from: number, to: number): void => {
    if (to > from) this.turn?.send(buffer, from, to, false);
  };
  private readonly onEnd = (): void => this.ended();
  private readonly onDrain = (): void => this.drained();
  private readonly onClose = (): void => this.closed();

  constructor(host: ConnectionHost, socket: Socket, downstream: Downstream) {
    this.host = host;
    this.path = host.path;
    this.socket = socket;
    this.downstream = downstream;
    this.input = new Input(socket, this);
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
    socket.on('error', () => {});
  }

  /** Ends the connection now; the exchange that is under way is cut off. */
  close(): void {
    if (this.relaying !== null) this.relaying.close();
    else if (this.turn !== null) this.turn.cutOff();
    else this.linger();
  }

  /** Ends the connection after the present exchange. @param begun a head that is not whole counts */
  drain(begun = true): void {
    this.closing = true;
    if (this.turn !== null || (begun && (this.request.begun || this.dropping))) return;
    this.linger();
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
    this.deadlineMs = 0;
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('drain', this.onDrain);
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

  // What its input calls.

  step(): boolean {
    if (this.lingering) return this.dropInput();
    if (this.dropping) return this.dropBody();
    const { turn } = this;
    if (turn === null) return !this.socket.writableNeedDrain && this.readHead();
    if (turn.tunnelled) {
      this.progressed();
      const { buffer, from, to } = this.input;
      this.input.from = to;
      turn.send(buffer!, from, to, false);
      return true;
    }
    return turn.sending && !this.requestBody.done && this.readBody(turn);
  }

  wantsMore(): boolean {
    return this.lingering || !this.upstreamFull;
  }

  private readHead(): boolean {
    const { request, requestBody, input } = this;
    const { headTimeoutMs, bodyBytesMax } = this.host.limits;
    const begun = request.begun;
    if (!begun) this.startedAtMs = performance.now();
    const state = request.feed(input.buffer!, input.from, input.to);
    if (state === 'more') {
      input.from = input.to;
      if (!begun) this.deadlineMs = deadlineIn(headTimeoutMs);
      return true;
    }
    if (state === 'malformed' && this.requests === 0 && this.becomesHttp2()) return true;
    if (state !== 'done') return this.refuseHead(state === 'malformed' ? state : 'head-too-large');
    requestBody.begin(request.chunked, Math.max(0, request.contentLength));
    const { end, limit } = request;
    const first = requestBody.done ? end : requestBody.take(request.buffer, end, limit);
    if (first < 0) return this.refuseHead('malformed');
    input.buffer = request.buffer;
    input.from = this.firstEnd = first;
    input.to = limit;
    this.requests++;
    this.progressed();
    request.scheme = this.scheme;
    const turn = (this.turn = new Turn(this, this.startedAtMs));
    if (bodyBytesMax > 0 && Math.max(request.contentLength, requestBody.bytes) > bodyBytesMax) {
      turn.fail('body-too-large');
    } else this.path.start(turn.exchange);
    return true;
  }

  /** What is no request line of ours may be the first bytes of HTTP/2 (RFC 9113 3.4). */
  private becomesHttp2(): boolean {
    const { request, host, socket } = this;
    const { buffer, start, limit } = request;
    if (host.becomeHttp2 === null || !startsHttp2(buffer, start, limit)) return false;
    const bytes = buffer.subarray(start, limit);
    this.gone = true;
    this.lingering = true;
    unwatch(this);
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('drain', this.onDrain);
    socket.off('close', this.onClose);
    this.input.take();
    host.closed(this);
    host.becomeHttp2(this, bytes);
    return true;
  }

  private readBody(turn: Turn): boolean {
    const { input, requestBody } = this;
    const { bodyBytesMax } = this.host.limits;
    this.progressed();
    const { buffer, from } = input;
    const { unchunks } = turn;
    const end = requestBody.take(buffer!, from, input.to, unchunks ? this.onContent : null);
    if (end < 0) {
      this.closing = true;
      turn.fail('malformed');
      return true;
    }
    input.from = end;
    if (bodyBytesMax > 0 && requestBody.bytes > bodyBytesMax) turn.fail('body-too-large');
    else if (!unchunks) turn.send(buffer!, from, end, requestBody.done);
    else if (requestBody.done) turn.sendEnd();
    return true;
  }

  private dropBody(): boolean {
    const { input, requestBody } = this;
    const end = requestBody.take(input.buffer!, input.from, input.to);
    this.droppedBytes += end - input.from;
    if (end < 0 || this.droppedBytes > this.host.limits.drainBytesMax) {
      this.linger();
      return true;
    }
    input.from = end;
    this.dropping = !requestBody.done;
    if (requestBody.done && this.closing) this.linger();
    else if (requestBody.done) this.deadlineMs = deadlineIn(this.host.limits.idleTimeoutMs);
    return true;
  }

  private dropInput(): boolean {
    this.droppedBytes += this.input.to - this.input.from;
    this.input.from = this.input.to;
    if (this.droppedBytes > this.host.limits.drainBytesMax) this.socket.destroySoon();
    return true;
  }

  /** Answers a head that is no request; layers never see it. */
  private refuseHead(code: FailureCode): boolean {
    if (this.wantsHttp2 && this.requests === 0) {
      this.socket.destroy();
      return true;
    }
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

  private drained(): void {
    this.turn?.resume();
    this.wake();
  }

  private ended(): void {
    // With nothing under way there is nobody left to wait for.
    if (this.turn === null) this.socket.destroySoon();
    else if (this.turn.tunnelled) this.turn.downstreamEnd();
    else this.turn.fail('downstream-gone');
  }

  private closed(): void {
    this.gone = true;
    this.lingering = true;
    unwatch(this);
    this.input.take();
    if (this.relaying === null) this.turn?.fail('downstream-gone');
    this.host.closed(this);
  }
}
