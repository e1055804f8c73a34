// Carries one exchange between a downstream connection and an upstream one, either way.
import type { Socket } from 'node:net';

import { Exchange } from '../../exchange.ts';
import type { RequestStream } from '../../exchange.ts';
import type { FailureCode } from '../../failures.ts';
import { allocate, write, writeCopy } from '../slab.ts';

import type { UpstreamConnection } from './client.ts';
import type { Http1Connection } from './connection.ts';
import type { ResponseHead } from './response-head.ts';
import type { UpstreamCall } from './upstream.ts';

/** What may be sent again without asking (RFC 9110 9.2.2). */
const idempotent: ReadonlySet<string> = new Set('GET HEAD OPTIONS TRACE PUT DELETE'.split(' '));
/** A body that came with its head goes out with it, in one write, up to this size. */
const inlineBytesMax = 16_384;
const chunkedLine = 'transfer-encoding: chunked\r\n';
const closeLine = 'connection: close\r\n';
const upgradeLine = 'connection: upgrade\r\n';

export abstract class Forwarding implements UpstreamCall {
  readonly exchange: Exchange;
  /** Request bytes can go upstream. */
  sending = false;
  /** After 101 bytes go both ways as they are. */
  tunnelled = false;

  /** null: the exchange is over. */
  protected connection: Http1Connection | null;
  protected upstream: UpstreamConnection | null = null;
  protected headSent = false;
  /** Body bytes went upstream that are not kept for a replay. */
  protected bodySent = false;
  /** The head that was sent lets the connection live on. */
  private keeps = false;
  /** The upstream ends its body by closing; the client gets chunks instead. */
  private rechunks = false;
  private upstreamEnded = false;
  private downstreamEnded = false;

  constructor(connection: Http1Connection, startedAtMs: number) {
    this.connection = connection;
    const x = new Exchange(connection.downstream, connection.request, this.stream(), 'HTTP/1.1');
    x.startedAtMs = startedAtMs;
    this.exchange = x;
  }

  /** Ends the exchange with a failure: an answer if none has begun, else a connection broken off. */
  abstract fail(code: FailureCode): void;
  /** This object, as layers see it. */
  protected abstract stream(): RequestStream;
  protected abstract finish(keep: boolean): void;

  // What the pool and the upstream connection call.

  get isHead(): boolean {
    return this.exchange.request.method === 'HEAD';
  }

  get asksUpgrade(): boolean {
    return this.connection !== null && this.connection.request.upgradeAsked;
  }

  get requestDone(): boolean {
    return this.connection === null || this.connection.requestBody.done;
  }

  get takesChunks(): boolean {
    return this.exchange.request.minor === 1;
  }

  granted(upstream: UpstreamConnection): void {
    const c = this.connection;
    if (c === null) {
      upstream.abort();
      return;
    }
    this.upstream = upstream;
    const x = this.exchange;
    x.attempts++;
    x.forwardedAtMs = performance.now();
    const { request } = c;
    const size = request.sizeMax();
    if (size < 0) {
      this.fail('internal');
      return;
    }
    const bodyBytes = c.firstEnd - request.end;
    const inline = bodyBytes <= inlineBytesMax ? bodyBytes : 0;
    const piece = allocate(size + inline);
    let length = request.writeTo(piece, 0);
    if (inline > 0) length += request.buffer.copy(piece, length, request.end, c.firstEnd);
    let more = write(upstream.socket, piece, length);
    if (bodyBytes > inline) {
      more = upstream.socket.write(request.buffer.subarray(request.end, c.firstEnd));
    }
    if (upstream.connected) this.startSending(more);
  }

  opened(): void {
    this.startSending(true);
  }

  mayReplay(): boolean {
    return (
      this.connection !== null &&
      !this.bodySent &&
      this.exchange.attempts < 2 &&
      idempotent.has(this.exchange.request.method)
    );
  }

  interim(head: ResponseHead): void {
    const c = this.connection;
    if (c === null || this.exchange.request.minor === 0) return;
    const piece = allocate(head.sizeMax(''));
    write(c.socket, piece, head.writeTo(piece, 0, ''));
  }

  head(head: ResponseHead, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const c = this.connection;
    if (c === null) return true;
    const untilClose = this.respond(head) && !head.chunked && head.contentLength < 0;
    const { minor } = this.exchange.request;
    this.rechunks = untilClose && minor === 1;
    if (minor === 0) head.unchunk();
    const closes = c.closesAfter();
    this.keeps = !closes;
    const extra = this.rechunks
      ? closes
        ? closeLine + chunkedLine
        : chunkedLine
      : closes
        ? closeLine
        : '';
    const inline = this.rechunks ? 0 : to - from;
    const piece = allocate(head.sizeMax(extra) + inline);
    let length = head.writeTo(piece, 0, extra);
    if (inline > 0) length += buffer.copy(piece, length, from, to);
    this.headSent = true;
    let more = write(c.socket, piece, length);
    c.progressed();
    if (this.rechunks && to > from) more = writeChunk(c.socket, buffer, from, to);
    if (last) this.finish(!closes);
    return more;
  }

  body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const c = this.connection;
    if (c === null) return true;
    c.progressed();
    let more = true;
    if (to > from) {
      if (this.tunnelled) this.exchange.responseBodyBytes += to - from;
      more = this.rechunks
        ? writeChunk(c.socket, buffer, from, to)
        : writeCopy(c.socket, buffer, from, to);
    }
    if (!last) return more;
    if (this.rechunks) c.socket.write('0\r\n\r\n');
    this.finish(this.keeps);
    return more;
  }

  upgraded(head: ResponseHead, buffer: Buffer, from: number, to: number): boolean {
    const c = this.connection;
    if (c === null) return true;
    this.respond(head);
    const piece = allocate(head.sizeMax(upgradeLine));
    this.headSent = true;
    this.tunnelled = true;
    let more = write(c.socket, piece, head.writeTo(piece, 0, upgradeLine));
    if (to > from) more = this.body(buffer, from, to, false);
    c.becomeTunnel();
    return more;
  }

  tunnelEnded(): void {
    this.upstreamEnded = true;
    this.connection?.socket.end();
    if (this.downstreamEnded) this.finishTunnel();
  }

  drained(): void {
    const c = this.connection;
    if (c === null) return;
    c.upstreamFull = false;
    c.wake();
  }

  failed(code: FailureCode): void {
    this.upstream = null;
    if (this.tunnelled && this.upstreamEnded) this.finishTunnel();
    else this.fail(code);
  }

  // What the downstream connection calls.

  /** More of the request's body, or of what goes through a tunnel; not read into again. */
  send(buffer: Buffer, from: number, to: number): void {
    const { upstream, connection } = this;
    if (upstream === null || connection === null) return;
    this.bodySent = true;
    if (this.tunnelled) this.exchange.requestBodyBytes += to - from;
    const whole = from === 0 && to === buffer.length;
    const more = upstream.socket.write(whole ? buffer : buffer.subarray(from, to));
    if (!more && (this.tunnelled || !connection.requestBody.done)) connection.upstreamFull = true;
  }

  /** The client takes bytes again. */
  resume(): void {
    this.upstream?.resume();
  }

  /** The client will send no more through the tunnel. */
  downstreamEnd(): void {
    this.downstreamEnded = true;
    this.upstream?.socket.end();
    if (this.upstreamEnded) this.finishTunnel();
  }

  private startSending(more: boolean): void {
    const c = this.connection;
    if (c === null) return;
    this.sending = true;
    c.upstreamFull = !more && !c.requestBody.done;
    c.wake();
  }

  /** @returns whether the response has a body */
  private respond(head: ResponseHead): boolean {
    const x = this.exchange;
    x.respondedAtMs = performance.now();
    x.status = head.status;
    this.connection!.path.respond(x, head);
    const at = head.find('grpc-status', 0);
    if (at >= 0) x.grpcStatus = head.valueAt(at);
    return !this.isHead && head.status !== 204 && head.status !== 304;
  }

  private finishTunnel(): void {
    const { upstream } = this;
    this.upstream = null;
    upstream?.finishTunnel();
    this.finish(false);
  }
}

function writeChunk(socket: Socket, buffer: Buffer, from: number, to: number): boolean {
  const size = `${(to - from).toString(16)}\r\n`;
  const piece = allocate(size.length + to - from + 2);
  let length = piece.write(size, 0, 'latin1');
  length += buffer.copy(piece, length, from, to);
  length += piece.write('\r\n', length, 'latin1');
  return write(socket, piece, length);
}
