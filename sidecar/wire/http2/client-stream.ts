// One call on a connection to an upstream: its request as frames, its answer as the call wants it.
import { readFailureId } from '../../failure-id.ts';
import { readUnanswered } from '../../unanswered.ts';
import type { Trailers } from '../trailers.ts';
import type { RequestMessage, UpstreamCall, UpstreamStream } from '../upstream.ts';

import type { Http2ClientConnection } from './client.ts';
import { code } from './frames.ts';
import type { FieldSink } from './hpack/decoder.ts';
import { Http2ResponseHead } from './response-head.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';
import { TrailerSink } from './trailer-sink.ts';

/** Interim heads for one request; more are an attack or a bug. */
const interimMax = 32;

export class ClientStream implements UpstreamStream, StreamHandler {
  readonly framed = false;
  readonly stream: Http2Stream;

  private readonly connection: Http2ClientConnection;
  private call: UpstreamCall | null;
  private head: Http2ResponseHead | null = null;
  private trailerSink: TrailerSink | null = null;
  /** The request's head was sent. */
  private begun = false;
  private headDone = false;
  private interims = 0;
  private grpcStatus = '';

  constructor(connection: Http2ClientConnection, stream: Http2Stream, call: UpstreamCall) {
    this.connection = connection;
    this.stream = stream;
    this.call = call;
    stream.handler = this;
  }

  get connected(): boolean {
    return true;
  }

  get bodyBytes(): number {
    return this.stream.receivedBytes;
  }

  get trailerGrpcStatus(): string {
    return this.grpcStatus;
  }

  /** The call this stream carries; null once it is over. */
  get carried(): UpstreamCall | null {
    return this.call;
  }

  /** Nothing of an answer has come, so a connection that goes away may have served nothing. */
  get unanswered(): boolean {
    return !this.headDone && this.interims === 0;
  }

  // What the call does.

  sendHead(
    request: RequestMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean | null {
    if (this.stream.closed) return true;
    const bare = from === to;
    if (!this.connection.writeHead(this.stream, request, last && bare)) return null;
    this.begun = true;
    return bare || this.stream.send(buffer, from, to, last);
  }

  send(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    return this.stream.send(buffer, from, to, last);
  }

  sendTrailers(trailers: Trailers): void {
    this.stream.sendTrailers(trailers);
  }

  resume(): void {
    this.stream.resume();
  }

  abort(): void {
    this.call = null;
    if (this.begun) this.stream.reset(code.cancel);
    else this.connection.unopen(this.stream);
  }

  endTunnel(): void {
    this.stream.send(nothing, 0, 0, true);
  }

  finishTunnel(): void {
    this.abort();
  }

  // What the connection does: a header block comes.

  /** @returns where its fields go */
  openBlock(ends: boolean): FieldSink | null {
    if (this.headDone) {
      if (!ends) return null;
      this.trailerSink = new TrailerSink(this.connection.limits.trailerBytesMax);
      return this.trailerSink;
    }
    this.head ??= new Http2ResponseHead(this.connection.limits);
    this.head.begin();
    return this.head;
  }

  /** @param ends the answer is complete */
  closeBlock(ends: boolean): void {
    const { call, head } = this;
    if (call === null) return;
    if (this.trailerSink !== null) this.takeTrailers(call, this.trailerSink);
    else if (head === null || head.settle() !== 'ok') this.failCall('upstream-malformed');
    else if (head.status < 200) this.takeInterim(call, head, ends);
    else this.takeHead(call, head, ends);
  }

  // What the stream calls.

  data(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { call } = this;
    if (call === null) return true;
    if (!this.headDone) {
      this.failCall('upstream-malformed');
      return true;
    }
    if (last) this.over();
    return call.body(buffer, from, to, last);
  }

  writable(): void {
    this.call?.drained();
  }

  gone(reason: number): void {
    const { call } = this;
    this.call = null;
    if (call === null) return;
    // The server did nothing with it (RFC 9113 8.7); nor with what a GOAWAY left out.
    const untouched = reason === code.refusedStream && this.unanswered;
    if (untouched && call.mayReplay(true)) this.connection.replay(call);
    else if (untouched) call.failed('upstream-refused');
    else if (reason === code.protocol) call.failed('upstream-malformed');
    else call.failed(this.connection.ended ? 'upstream-reset' : 'upstream-stream-reset');
  }

  private takeInterim(call: UpstreamCall, head: Http2ResponseHead, ends: boolean): void {
    if (ends || ++this.interims > interimMax) this.failCall('upstream-malformed');
    else call.interim(head);
  }

  private takeHead(call: UpstreamCall, head: Http2ResponseHead, ends: boolean): void {
    // gRPC's callers are answered with a head alone.
    if ((head.status === 503 || ends) && this.isUnanswered(call, head, ends)) return;
    this.headDone = true;
    const bodyless = call.isHead || head.status === 204 || head.status === 304;
    if (!bodyless) this.stream.expectedBytes = head.contentLength;
    if (ends && !bodyless && head.contentLength > 0) {
      this.failCall('upstream-malformed');
      return;
    }
    if (ends) this.over();
    call.head(head, nothing, 0, 0, ends);
  }

  /** A peer of the mesh says that there was no answer. */
  private isUnanswered(call: UpstreamCall, head: Http2ResponseHead, ends: boolean): boolean {
    const unanswered = 'encrypted' in this.connection.socket ? readUnanswered(head) : null;
    if (unanswered === null) return false;
    if (ends) this.over();
    else this.abort();
    call.failed(unanswered, readFailureId(head));
    return true;
  }

  private takeTrailers(call: UpstreamCall, sink: TrailerSink): void {
    const { expectedBytes, receivedBytes } = this.stream;
    if (sink.malformed || (expectedBytes >= 0 && expectedBytes !== receivedBytes)) {
      this.failCall('upstream-malformed');
      return;
    }
    this.grpcStatus = sink.trailers.grpcStatus();
    this.over();
    call.trailers(sink.trailers);
  }

  /** The answer is complete; the rest of a request that was not needed is not sent (RFC 9113 8.1). */
  private over(): void {
    const { call, stream } = this;
    this.call = null;
    if (call !== null && !call.requestDone) stream.reset(code.cancel);
    stream.handler = null;
  }

  private failCall(failure: 'upstream-malformed'): void {
    const { call } = this;
    this.call = null;
    this.stream.reset(code.protocol);
    call?.failed(failure);
  }
}

const nothing: Buffer = Buffer.alloc(0);
