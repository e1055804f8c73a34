// One HTTP/2 connection, the part that both sides share (RFC 9113): frames in, streams, windows, errors.
import type { Socket } from 'node:net';

import { sweepNowMs } from '../sweep.ts';
import type { Trailers } from '../trailers.ts';

import { HeaderBlock } from './block.ts';
import { Control, type ControlOwner } from './control.ts';
import { FloodGuard } from './flood.ts';
import { FrameReader, type FrameHandler } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { code, firstWindowBytes, flag, frame, frameBytesMax, frameHeadBytes, windowMax } from './frames.ts';
import { HpackDecoder, type FieldSink } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import type { Http2Limits } from './limits.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import { Http2Stream, type StreamOwner } from './stream.ts';

/** A head that can be sent: a request's, a response's, trailers. */
export interface OutgoingHead {
  http2BytesMax(): number;
  writeHttp2(encoder: HpackEncoder, out: Buffer, offset: number): number;
}

/** Closed streams that late frames are still expected for. */
const rememberedMax = 64;

export abstract class Http2Session
  implements FrameHandler, StreamOwner, OutboxOwner, ControlOwner
{
  readonly socket: Socket;
  readonly limits: Readonly<Http2Limits>;
  readonly control: Control;
  readonly flood: FloodGuard;
  /** No frame is read or written any more. */
  ended = false;

  protected readonly writer: FrameWriter;
  protected readonly outbox: Outbox;
  protected readonly streams = new Map<number, Http2Stream>();
  /** The highest stream that was opened, by either side (only one opens any). */
  protected lastId = 0;
  private readonly reader: FrameReader;
  private readonly decoder = new HpackDecoder();
  private readonly encoder = new HpackEncoder();
  private readonly block: HeaderBlock;
  private readonly closedIds = new Int32Array(rememberedMax);
  private closedCount = 0;
  private receiveWindow: number;
  private uncredited = 0;
  /** The stream that the present DATA is for; null: none that wants it. */
  private dataStream: Http2Stream | null = null;
  private dataEnds = false;
  /** Of the present DATA's payload what is not content, as far as is known. */
  private padding = 0;

  constructor(socket: Socket, limits: Readonly<Http2Limits>, server: boolean) {
    this.socket = socket;
    this.limits = limits;
    this.reader = new FrameReader(this, server);
    this.writer = new FrameWriter(socket);
    this.outbox = new Outbox(this.writer, this);
    this.flood = new FloodGuard(limits);
    this.block = new HeaderBlock(limits);
    this.receiveWindow = limits.connectionWindowBytes;
    this.control = new Control(this, this.writer, server);
  }

  /** Where the fields of a block go; null: they are only decoded, to keep the table in step. */
  protected abstract openBlock(block: HeaderBlock): FieldSink | null;
  /** All fields of that block were decoded. */
  protected abstract closeBlock(block: HeaderBlock): void;
  /** The peer resets a stream; it is not closed yet. */
  protected abstract peerGaveUp(stream: Http2Stream): void;
  /** A stream has closed; it is not in `streams` any more. */
  protected abstract streamClosed(stream: Http2Stream): void;
  /** The connection is over: every stream has been told. */
  protected abstract sessionEnded(): void;
  /** The peer opens no more streams, or takes none after `lastId`. */
  abstract peerGoaway(lastId: number, reason: number): void;
  protected abstract peerSettingsChanged(): void;

  /** What the connection's window is to grow by before anything is received. */
  protected firstCredit(): number {
    return this.limits.connectionWindowBytes - firstWindowBytes;
  }

  get streamCount(): number {
    return this.streams.size;
  }

  /** A head, a frame or the preface has begun and is not complete. */
  get begun(): boolean {
    return this.reader.begun || this.block.open;
  }

  /** @param chunk read into again once this returns, unless the side's own class says otherwise */
  push(chunk: Buffer, from: number, to: number): void {
    this.control.heard();
    this.reader.push(chunk, from, to);
  }

  // What the frame reader calls.

  frame(
    type: number,
    flags: number,
    id: number,
    payload: Buffer,
    from: number,
    to: number,
  ): void {
    const { block, control } = this;
    if (block.open && type !== frame.continuation) {
      this.fail(code.protocol, 'a header block was interrupted');
    } else if (type === frame.headers && control.settled) {
      this.blockPart(id, block.begin(flags, id, payload, from, to));
    } else if (type === frame.continuation) {
      this.blockPart(id, block.continue(flags, id, payload, from, to));
    } else control.read(type, flags, id, payload, from, to);
  }

  dataBegin(flags: number, id: number, bytes: number): void {
    this.dataEnds = (flags & flag.endStream) !== 0;
    const stream = this.streams.get(id);
    this.dataStream = null;
    if (this.block.open || id === 0 || this.isIdle(id)) {
      this.fail(code.protocol, `DATA on stream ${id}`);
      return;
    }
    this.receiveWindow -= bytes;
    if (this.receiveWindow < 0) {
      this.fail(code.flowControl, 'the connection window is exceeded');
      return;
    }
    if (bytes === 0 && !this.dataEnds && !this.flood.control()) {
      this.fail(code.enhanceYourCalm, 'empty DATA frames');
      return;
    }
    if (stream === undefined) {
      this.creditConnection(bytes);
      if (!this.wasReset(id)) this.fail(code.streamClosed, 'DATA on a closed stream');
    } else if (stream.remoteEnded || bytes > stream.receiveWindow) {
      this.creditConnection(bytes);
      this.reset(stream, stream.remoteEnded ? code.streamClosed : code.flowControl);
    } else {
      stream.receiveWindow -= bytes;
      this.dataStream = stream;
      this.padding = bytes;
    }
  }

  dataPart(buffer: Buffer, from: number, to: number, last: boolean): void {
    const stream = this.dataStream;
    if (stream === null) return;
    this.padding -= to - from;
    const ends = last && this.dataEnds;
    stream.activeAtMs = sweepNowMs();
    const total = stream.receivedBytes + to - from;
    const { expectedBytes } = stream;
    const wrong = expectedBytes >= 0 && (ends ? total !== expectedBytes : total > expectedBytes);
    if (wrong) this.reset(stream, code.protocol);
    if (stream.closed) this.creditConnection(to - from);
    else {
      if (ends) stream.remoteEnded = true;
      stream.receive(buffer, from, to, ends);
    }
    if (!last) return;
    this.dataStream = null;
    if (this.padding > 0) this.credit(stream, this.padding);
    if (ends) this.closeIfDone(stream);
  }

  readError(reason: number, message: string): void {
    this.fail(reason, message);
  }

  // What streams and the outbox call.

  send(stream: Http2Stream, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    stream.activeAtMs = sweepNowMs();
    return this.outbox.send(stream, buffer, from, to, last);
  }

  sendTrailers(stream: Http2Stream, trailers: Trailers): void {
    this.outbox.sendTrailers(stream, trailers);
  }

  writeTrailers(stream: Http2Stream, trailers: Trailers): void {
    this.writeHead(stream, trailers, true);
  }

  sentData(): void {
    this.flood.sent();
  }

  localEnd(stream: Http2Stream): void {
    stream.localEnded = true;
    if (stream.dropsRest && !stream.remoteEnded) this.reset(stream, code.none);
    else this.closeIfDone(stream);
  }

  credit(stream: Http2Stream, bytes: number): void {
    this.creditConnection(bytes);
    if (stream.closed || stream.remoteEnded) return;
    stream.uncredited += bytes;
    if (stream.uncredited * 2 < this.limits.streamWindowBytes) return;
    stream.receiveWindow += stream.uncredited;
    this.control.windowUpdate(stream.id, stream.uncredited);
    stream.uncredited = 0;
  }

  reset(stream: Http2Stream, reason: number): void {
    if (stream.closed) return;
    this.control.resetStream(stream.id, reason);
    this.closeStream(stream, reason, true);
  }

  /** Sends a head. @returns false: its edits cannot be sent, nothing was */
  writeHead(stream: Http2Stream, head: OutgoingHead, ends: boolean): boolean {
    const bytesMax = head.http2BytesMax();
    if (bytesMax < 0) return false;
    const { writer } = this;
    writer.reserve(frameHeadBytes + bytesMax + frameHeadBytes * Math.ceil(bytesMax / frameBytesMax));
    const from = writer.at + frameHeadBytes;
    const begun = this.encoder.begin(writer.bytes, from);
    const length = head.writeHttp2(this.encoder, writer.bytes, begun) - from;
    this.frameHead(stream.id, length, ends);
    writer.schedule();
    if (ends) this.localEnd(stream);
    return true;
  }

  // What the side's own class, and Control, call.

  /** Ends the connection with GOAWAY (RFC 9113 5.4.1). */
  fail(reason: number, message: string): void {
    if (this.ended) return;
    this.control.goaway(this.lastId, reason, message);
    this.end(reason);
  }

  /** No frame is read any more; what was written still goes out. Every stream is told. */
  end(reason: number): void {
    if (this.ended) return;
    this.ended = true;
    this.reader.stop();
    for (const stream of [...this.streams.values()]) this.closeStream(stream, reason);
    this.writer.flush();
    this.writer.close();
    this.sessionEnded();
  }

  /** The socket takes bytes again. */
  drained(): void {
    this.writer.full = false;
    this.control.answered();
    this.outbox.pump();
  }

  applyPeerSettings(windowChange: number): void {
    this.encoder.setPeerTableBytesMax(this.control.peer.headerTableBytes);
    for (const stream of this.streams.values()) {
      stream.sendWindow += windowChange;
      if (stream.sendWindow > windowMax) {
        this.fail(code.flowControl, 'a window grew too large');
        return;
      }
    }
    this.peerSettingsChanged();
    if (windowChange > 0) this.outbox.pump();
  }

  peerReset(id: number, reason: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.flood.control()) this.fail(code.enhanceYourCalm, 'too many RST_STREAM frames');
      return;
    }
    this.peerGaveUp(stream);
    this.closeStream(stream, reason);
  }

  peerWindow(id: number, bytes: number): void {
    if (id === 0) {
      if (bytes === 0) this.fail(code.protocol, 'WINDOW_UPDATE of 0');
      else if (!this.outbox.open(bytes)) this.fail(code.flowControl, 'the window grew too large');
      else this.outbox.pump();
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    stream.sendWindow += bytes;
    if (bytes === 0) this.reset(stream, code.protocol);
    else if (stream.sendWindow > windowMax) this.reset(stream, code.flowControl);
    else if (stream.queue.length > 0) this.outbox.pump();
  }

  selfDependency(id: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.reset(stream, code.protocol);
    else this.control.resetStream(id, code.protocol);
  }

  /** No frame may come for a stream that was never opened (RFC 9113 5.1). */
  isIdle(id: number): boolean {
    return id > this.lastId || id % 2 === 0;
  }

  /** We reset it, and what the peer had sent before it knew is still on its way. */
  protected wasReset(id: number): boolean {
    return this.closedIds.includes(-id);
  }

  /** It ended lately, by both sides or by the peer. */
  protected hasEnded(id: number): boolean {
    return this.closedIds.includes(id);
  }

  /** @param resetByUs late frames for it are no error */
  protected remember(id: number, resetByUs: boolean): void {
    this.closedIds[this.closedCount++ % rememberedMax] = resetByUs ? -id : id;
  }

  protected addStream(id: number): Http2Stream {
    const { streamWindowBytes } = this.limits;
    const stream = new Http2Stream(
      id,
      this,
      this.control.peer.streamWindowBytes,
      streamWindowBytes,
    );
    stream.activeAtMs = sweepNowMs();
    this.streams.set(id, stream);
    this.lastId = id;
    this.flood.opened();
    return stream;
  }

  protected closeIfDone(stream: Http2Stream): void {
    if (stream.localEnded && stream.remoteEnded && !stream.closed) this.closeStream(stream, -1);
  }

  /** @param reason -1: it ended well */
  private closeStream(stream: Http2Stream, reason: number, resetByUs = false): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.outbox.forget(stream);
    this.remember(stream.id, resetByUs);
    stream.release();
    if (reason >= 0) stream.handler?.gone(reason);
    this.streamClosed(stream);
  }

  private blockPart(id: number, error: number): void {
    const { block } = this;
    if (error !== code.none) this.fail(error, 'a header block');
    else if (id === 0) this.fail(code.protocol, 'HEADERS on the connection');
    else if (!block.open) this.readBlock(block);
  }

  private readBlock(block: HeaderBlock): void {
    const sink = this.openBlock(block);
    if (this.ended) return;
    if (!this.decoder.decode(block.bytes, block.from, block.to, sink ?? nowhere)) {
      this.fail(code.compression, 'HPACK');
      return;
    }
    block.clear();
    if (sink !== null) this.closeBlock(block);
  }

  /** Heads for the block that stands at `writer.at + 9`; more frames when it is longer than one. */
  private frameHead(id: number, length: number, ends: boolean): void {
    const { writer } = this;
    const endStream = ends ? flag.endStream : 0;
    if (length <= frameBytesMax) {
      writer.headAt(writer.at, length, frame.headers, endStream | flag.endHeaders, id);
      writer.at += frameHeadBytes + length;
      return;
    }
    const block = Buffer.from(
      writer.bytes.subarray(writer.at + frameHeadBytes, writer.at + frameHeadBytes + length),
    );
    for (let at = 0; at < length; at += frameBytesMax) {
      const size = Math.min(frameBytesMax, length - at);
      const type = at === 0 ? frame.headers : frame.continuation;
      const last = at + size === length ? flag.endHeaders : 0;
      writer.frame(size, type, at === 0 ? endStream | last : last, id);
      writer.copy(block, at, at + size);
    }
  }

  private creditConnection(bytes: number): void {
    this.uncredited += bytes;
    if (this.uncredited * 2 < this.limits.connectionWindowBytes || this.ended) return;
    this.receiveWindow += this.uncredited;
    this.control.windowUpdate(0, this.uncredited);
    this.uncredited = 0;
  }
}

/** Decodes what nobody wants. */
const nowhere: FieldSink = { field: () => undefined };
