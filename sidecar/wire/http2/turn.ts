// One exchange on a stream that a client opened: its answer as frames, and its body on the way up.
import { failures, type FailureCode } from '../../failures.ts';
import { refuse } from '../../request-path.ts';
import { Call } from '../call.ts';
import { replyOf } from '../reply.ts';
import type { ByteStream } from '../tcp.ts';
import type { Trailers } from '../trailers.ts';
import type { ResponseMessage, UpstreamStream } from '../upstream.ts';

import { code } from './frames.ts';
import { keptBytesMax } from '../http1/kept-body.ts';
import { addPiece } from './pieces.ts';
import { ReplyHead } from './reply-head.ts';
import type { Http2RequestHead } from './request-head.ts';
import type { Http2Connection } from './server.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';
import { addWebsocketKey } from './websocket-key.ts';

export class Http2Turn extends Call implements StreamHandler {
  private readonly connection: Http2Connection;
  private readonly stream: Http2Stream;
  private readonly head2: Http2RequestHead;
  /** What came before it could be sent; its window bounds it. */
  private pending: Buffer[] = [];
  /** How many of them the present upstream was given. */
  private pendingSent = 0;
  private pendingTrailers: Trailers | null = null;
  private keptBytes = 0;
  /** The present upstream was given the request's end. */
  private endSent = false;
  /** A layer may still edit the head. */
  private abandoned = false;

  constructor(connection: Http2Connection, stream: Http2Stream, head: Http2RequestHead) {
    super(connection.path, connection.downstream, head, 'HTTP/2', performance.now());
    this.connection = connection;
    this.stream = stream;
    this.head2 = head;
    stream.handler = this;
    stream.expectedBytes = head.contentLength;
  }

  override get framed(): boolean {
    return false;
  }

  override get requestDone(): boolean {
    // What follows an extended CONNECT is the tunnel's, as after an upgrade in HTTP/1.1.
    return this.over || this.stream.remoteEnded || this.request.upgrade !== '';
  }

  /** An answer has begun. */
  get answered(): boolean {
    return this.headSent;
  }

  protected override get requestBodyBytes(): number {
    return this.stream.receivedBytes;
  }

  // What layers call.

  override reply(status: number, headers: string, body: string | Buffer): void {
    if (this.over || this.decided) return;
    this.decided = true;
    const x = this.exchange;
    const reply = replyOf(x, status, headers, body);
    const bytes = Buffer.from(reply.body);
    x.status = reply.status;
    x.responseBodyBytes = bytes.length;
    this.headSent = true;
    this.connection.writeHead(this.stream, new ReplyHead(reply), bytes.length === 0);
    if (bytes.length > 0) this.stream.send(bytes, 0, bytes.length, true);
    this.finish(true);
  }

  /** A tunnel for bytes is a connection's, not a stream's, here: the proxy of the application speaks HTTP/1.1. */
  override tunnel(upstream: ByteStream): void {
    upstream.destroy();
    this.serveInside();
  }

  override serveInside(): void {
    if (!this.over && !this.decided) refuse(this.exchange, failures['upgrade-refused']);
  }

  // What the upstream connection calls.

  override interim(head: ResponseMessage): void {
    if (!this.over && !this.stream.closed) this.connection.writeHead(this.stream, head, false);
  }

  override head(
    head: ResponseMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean {
    if (this.over || this.retriesAnswer(head, last)) return true;
    this.respond(head);
    head.unchunk();
    this.headSent = true;
    // No other upstream will need it.
    if (this.sending) this.pending = [];
    const ends = last && from === to;
    this.connection.writeHead(this.stream, head, ends);
    if (!ends) return from === to || this.body(buffer, from, to, last);
    this.finish(true);
    return true;
  }

  override body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (this.over) return true;
    if (this.tunnelled) this.exchange.responseBodyBytes += to - from;
    this.exchange.messages?.response.read(buffer, from, to);
    const more = this.stream.send(buffer, from, to, last);
    if (last) this.finish(true);
    return more || last;
  }

  override trailers(trailers: Trailers): void {
    if (this.over) return;
    this.stream.sendTrailers(trailers);
    this.finish(true);
  }

  override upgraded(head: ResponseMessage, buffer: Buffer, from: number, to: number): boolean {
    if (this.over) return true;
    this.respond(head);
    head.remove('sec-websocket-accept');
    this.exchange.status = 200;
    this.headSent = true;
    this.tunnelled = true;
    this.connection.writeHead(this.stream, head, false);
    this.startSending(true);
    return from === to || this.body(buffer, from, to, false);
  }

  override drained(): void {
    if (!this.over) this.stream.resume();
  }

  // What the stream calls.

  data(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (this.over) return true;
    this.exchange.messages?.request.read(buffer, from, to);
    const { bodyBytesMax } = this.connection.limits;
    if (bodyBytesMax > 0 && this.stream.receivedBytes > bodyBytesMax) {
      this.fail('body-too-large');
      return true;
    }
    if (!this.sending) {
      if (to > from) addPiece(this.pending, buffer.subarray(from, to), this.pendingSent);
      return false;
    }
    return this.sendOn(buffer, from, to, last);
  }

  /** What came is no request, or was not begun: the stream ends with `reason`, and nobody is answered. */
  refuse(failure: FailureCode, reason: number): void {
    this.exchange.failure = failures[failure];
    if (this.exchange.details === '') this.exchange.details = failures[failure].details;
    this.stream.reset(reason);
    this.finish(true);
  }

  /** The request ends with trailers. */
  requestTrailers(trailers: Trailers): void {
    if (this.over) return;
    if (this.request.upgrade !== '') {
      // A tunnel has none (RFC 9113 8.5), only an end.
      if (this.tunnelled) this.downstreamEnd();
    } else {
      this.pendingTrailers = trailers;
      if (this.sending) this.upstream?.sendTrailers(trailers);
    }
  }

  writable(): void {
    this.resume();
  }

  gone(): void {
    this.fail('downstream-gone');
  }

  protected override sendRequest(upstream: UpstreamStream): boolean | null {
    const { request } = this;
    addWebsocketKey(request);
    // What came stays until an answer begins: the request may have to be sent once more.
    const first = request.upgrade === '' ? (this.pending[0] ?? none) : none;
    this.pendingSent = first === none ? 0 : 1;
    this.endSent = this.endsWith(1);
    const more = upstream.sendHead(request, first, 0, first.length, this.endSent);
    if (more === null || request.upgrade !== '') return more;
    return this.sendPending(upstream) && more;
  }

  protected override contentTaken(): void {
    this.pending = [];
    this.pendingSent = 0;
    if (this.requestDone) this.pendingTrailers = null;
  }

  /** What the client sent while no upstream was there is sent after it. */
  protected override contentEnds(): boolean {
    this.pendingSent = 0;
    this.endSent = this.endsWith(0);
    return this.endSent;
  }

  protected override startSending(more: boolean): void {
    // What a tunnel carries waits for the answer that opens it.
    if (this.request.upgrade !== '' && !this.tunnelled) return;
    const { upstream } = this;
    this.sending = true;
    if (this.tunnelled) this.pendingSent = 0;
    const room = upstream === null || this.sendPending(upstream);
    if (this.tunnelled && this.stream.remoteEnded) this.downstreamEnd();
    if (more && room && !this.stream.closed) this.stream.resume();
  }

  protected override endDownstream(): void {
    this.stream.send(none, 0, 0, true);
  }

  protected override breakOff(): void {
    this.stream.reset(code.internal);
  }

  protected override abandon(): void {
    this.abandoned = true;
  }

  protected override refuseStream(failure: FailureCode): boolean {
    this.refuse(failure, code.refusedStream);
    return true;
  }

  protected override release(): void {
    this.pending = [];
    this.stream.finish();
    if (!this.abandoned) this.connection.recycle(this.head2);
  }

  /** Whether the request ends with the first `count` pieces. */
  private endsWith(count: number): boolean {
    const { stream, pending, pendingTrailers, request } = this;
    const all = pending.length <= count && stream.remoteEnded;
    return all && pendingTrailers === null && request.upgrade === '';
  }

  /** Sends what the upstream was not given yet. */
  private sendPending(upstream: UpstreamStream): boolean {
    let more = true;
    for (; this.pendingSent < this.pending.length; this.pendingSent++) {
      const part = this.pending[this.pendingSent]!;
      if (this.tunnelled) this.exchange.requestBodyBytes += part.length;
      this.endSent = this.endsWith(this.pendingSent + 1);
      more = upstream.send(part, 0, part.length, this.endSent);
    }
    if (this.endSent || this.tunnelled || !this.stream.remoteEnded) return more;
    // The end came alone, after what was given.
    this.endSent = true;
    if (this.pendingTrailers !== null) upstream.sendTrailers(this.pendingTrailers);
    else upstream.send(none, 0, 0, true);
    return more;
  }

  private sendOn(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { upstream } = this;
    if (upstream === null) return true;
    if (this.collector === null && !this.keep(buffer, from, to)) this.bodySent = true;
    if (this.tunnelled) {
      this.exchange.requestBodyBytes += to - from;
      const more = from === to || upstream.send(buffer, from, to, false);
      if (last) this.downstreamEnd();
      return more;
    }
    return upstream.send(buffer, from, to, last) || last;
  }

  /** @returns false: this piece of the body can go but once */
  private keep(buffer: Buffer, from: number, to: number): boolean {
    if (!this.mayKeep) return false;
    this.keptBytes += to - from;
    if (this.keptBytes > keptBytesMax) {
      this.pending = [];
      return false;
    }
    if (to > from) addPiece(this.pending, buffer.subarray(from, to));
    this.pendingSent = this.pending.length;
    return true;
  }
}

const none: Buffer = Buffer.alloc(0);
