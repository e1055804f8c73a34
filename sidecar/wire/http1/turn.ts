// One exchange on an HTTP/1.1 connection: its answer as bytes, and its body on the way up.
import { failures } from '../../failures.ts';
import { Call } from '../call.ts';
import type { Trailers } from '../trailers.ts';
import { replyOf } from '../reply.ts';
import { allocate, write, writeCopy } from '../slab.ts';
import type { ByteStream } from '../tcp.ts';
import type { TurnWriter } from '../turn-writer.ts';
import type { ResponseMessage, UpstreamStream } from '../upstream.ts';

import { BodyCursor } from './body.ts';
import { lastChunk, writeChunk, writeTrailers } from './chunks.ts';
import type { Http1Connection } from './connection.ts';
import { isKept, KeptBody } from './kept-body.ts';
import { chunkedLine, closeLine, replyBytes, upgradeLine } from './respond.ts';

export class Turn extends Call {
  private readonly connection: Http1Connection;
  /** The head that was sent lets the connection live on. */
  private keeps = false;
  /** The answer's body comes as content, and its length is not known: the client gets chunks. */
  private rechunks = false;
  private kept: KeptBody | null = null;
  /** The upstream gives its answer in small pieces, which go out together; null: as they come. */
  private gathered: TurnWriter | null = null;

  constructor(connection: Http1Connection, startedAtMs: number) {
    super(connection.path, connection.downstream, connection.request, 'HTTP/1.1', startedAtMs);
    this.connection = connection;
  }

  override get framed(): boolean {
    return this.content === null && this.exchange.request.minor === 1;
  }

  override get requestDone(): boolean {
    return this.over || this.connection.requestBody.done;
  }

  protected override get requestBodyBytes(): number {
    return this.connection.requestBody.bytes;
  }

  // What layers call.

  override reply(status: number, headers: string, body: string | Buffer, close: boolean): void {
    const c = this.connection;
    if (this.over || this.decided) return;
    this.decided = true;
    const x = this.exchange;
    const closes = close || c.closesAfter() || !c.bodyDroppable();
    const reply = replyOf(x, status, headers, body);
    x.status = reply.status;
    x.responseBodyBytes = Buffer.byteLength(reply.body);
    this.headSent = true;
    c.socket.write(replyBytes(reply, closes));
    this.finish(!closes);
  }

  override tunnel(upstream: ByteStream): void {
    const c = this.connection;
    if (this.over || this.decided) {
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

  override serveInside(): void {
    if (this.over || this.decided) return;
    this.decided = true;
    this.over = true;
    this.connection.socket.write('HTTP/1.1 200 OK\r\n\r\n');
    this.connection.beginAnew();
  }

  // What the upstream connection calls.

  override interim(head: ResponseMessage): void {
    if (this.over || this.exchange.request.minor === 0) return;
    const piece = allocate(head.http1BytesMax(''));
    write(this.connection.socket, piece, head.writeHttp1(piece, 0, ''));
  }

  override head(
    head: ResponseMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean {
    if (this.over || this.retriesAnswer(head, last)) return true;
    const c = this.connection;
    const { minor } = this.exchange.request;
    const unframed = this.upstream?.framed === false;
    const unbounded = this.respond(head) && (unframed || !head.chunked) && head.contentLength < 0;
    this.rechunks = unbounded && minor === 1;
    if (unframed || minor === 0) head.unchunk();
    const closes = c.closesAfter();
    this.keeps = !closes;
    const extra = (closes ? closeLine : '') + (this.rechunks ? chunkedLine : '');
    this.headSent = true;
    if (unframed) {
      const out = (this.gathered = c.out);
      const room = out.reserve(head.http1BytesMax(extra));
      out.wrote(head.writeHttp1(room, out.offset, extra));
      c.progressed();
      return from === to && !last ? true : this.body(buffer, from, to, last);
    }
    const inline = this.rechunks ? 0 : to - from;
    const piece = allocate(head.http1BytesMax(extra) + inline);
    let length = head.writeHttp1(piece, 0, extra);
    if (inline > 0) length += buffer.copy(piece, length, from, to);
    const more = write(c.socket, piece, length);
    c.progressed();
    if (this.rechunks) return this.body(buffer, from, to, last) && more;
    if (last) this.finish(!closes);
    return more;
  }

  override body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (this.over) return true;
    const c = this.connection;
    c.progressed();
    if (this.gathered !== null) return this.gather(this.gathered, buffer, from, to, last);
    let more = true;
    if (to > from) {
      if (this.tunnelled) this.exchange.responseBodyBytes += to - from;
      more = this.rechunks
        ? writeChunk(c.socket, buffer, from, to, last)
        : writeCopy(c.socket, buffer, from, to);
    } else if (last && this.rechunks) c.socket.write(lastChunk);
    if (last) this.finish(this.keeps);
    return more;
  }

  override trailers(trailers: Trailers): void {
    if (this.over) return;
    if (this.gathered !== null) {
      if (this.rechunks) {
        this.gathered.text('0\r\n');
        const room = this.gathered.reserve(trailers.linesBytes + 2);
        this.gathered.wrote(trailers.writeLines(room, this.gathered.offset));
        this.gathered.text('\r\n');
      }
      this.gathered.flush();
    } else if (this.rechunks) writeTrailers(this.connection.socket, trailers);
    this.finish(this.keeps);
  }

  override upgraded(head: ResponseMessage, buffer: Buffer, from: number, to: number): boolean {
    if (this.over) return true;
    const c = this.connection;
    this.respond(head);
    const piece = allocate(head.http1BytesMax(upgradeLine));
    this.headSent = true;
    this.tunnelled = true;
    let more = write(c.socket, piece, head.writeHttp1(piece, 0, upgradeLine));
    if (to > from) more = this.body(buffer, from, to, false);
    c.becomeTunnel();
    return more;
  }

  override drained(): void {
    if (this.over) return;
    this.connection.upstreamFull = false;
    this.connection.wake();
  }

  // What the downstream connection calls.

  /**
   * More of the request's body with its framing, or of what goes through a tunnel.
   * @param last the body ends with it
   */
  send(buffer: Buffer, from: number, to: number, last: boolean): void {
    const { upstream, connection } = this;
    if (upstream === null || this.over) return;
    if (this.collector === null && !this.keep(buffer, from, to)) this.bodySent = true;
    if (this.tunnelled) this.exchange.requestBodyBytes += to - from;
    const more = upstream.send(buffer, from, to, last);
    const goesOn = this.tunnelled || !connection.requestBody.done;
    if (!more && goesOn) connection.upstreamFull = true;
  }

  /** The body's end, after its content, where it had chunks. */
  sendEnd(): void {
    const { upstream, connection } = this;
    if (upstream === null || this.over) return;
    const { trailers } = connection.requestBody;
    if (trailers === null) upstream.send(noBytes, 0, 0, true);
    else upstream.sendTrailers(trailers);
  }

  /** Chunks have to be taken off before the upstream gets the body. */
  get unchunks(): boolean {
    return this.upstream !== null && !this.upstream.framed && this.connection.request.chunked;
  }

  protected override sendRequest(upstream: UpstreamStream): boolean | null {
    const { request, requestBody, firstEnd, limits } = this.connection;
    const { buffer, end } = request;
    if (upstream.framed || !request.chunked) {
      const whole = requestBody.done && this.kept === null;
      return upstream.sendHead(request, buffer, end, firstEnd, whole);
    }
    let more = upstream.sendHead(request, buffer, end, end, false);
    if (more === null || firstEnd === end) return more;
    // What came with the head was read once already: now again, for its content.
    const again = new BodyCursor(limits);
    again.begin(true, 0);
    again.take(buffer, end, firstEnd, (bytes, from, to) => {
      more = upstream.send(bytes, from, to, false);
    });
    if (requestBody.done) this.sendEnd();
    return more;
  }

  protected override startSending(more: boolean): void {
    const c = this.connection;
    this.sending = true;
    const { upstream, kept } = this;
    const room = upstream === null || (kept?.sendTo(upstream, c.requestBody.done) ?? true);
    c.upstreamFull = !(more && room) && !c.requestBody.done;
    c.wake();
  }

  protected override contentTaken(): void {
    this.kept = null;
  }

  protected override endDownstream(): void {
    this.connection.socket.end();
  }

  protected override breakOff(): void {
    this.connection.breakOff();
  }

  protected override abandon(): void {
    this.connection.drain();
  }

  protected override release(keep: boolean): void {
    this.connection.turnOver(keep);
  }

  /** As `body`, of an upstream that gives its answer in small pieces. */
  private gather(
    out: TurnWriter,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean {
    let more = true;
    if (to > from) {
      if (this.rechunks) out.text(`${(to - from).toString(16)}\r\n`);
      more = out.copy(buffer, from, to);
      if (this.rechunks) out.text('\r\n');
    }
    if (!last) return more;
    if (this.rechunks) out.text(lastChunk);
    out.flush();
    this.finish(this.keeps);
    return true;
  }

  /** @returns false: this piece of the body can go but once */
  private keep(buffer: Buffer, from: number, to: number): boolean {
    if (!this.mayKeep || !isKept(this.connection.request)) return false;
    return (this.kept ??= new KeptBody()).keep(buffer, from, to);
  }

  override cutOff(): void {
    // What ends by closing would look whole: HTTP/1.0 has no other end.
    if (this.headSent && this.exchange.request.minor === 0) this.fail('downstream-gone');
    else if (!this.headSent) this.fail('draining');
    else {
      this.exchange.failure = failures.draining;
      this.upstream?.abort();
      this.gathered?.flush();
      this.finish(false);
    }
  }
}

const noBytes: Buffer = Buffer.alloc(0);
