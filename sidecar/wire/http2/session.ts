// One HTTP/2 connection, the part that both sides share (RFC 9113): frames in, streams, windows, errors.
import type { Socket } from 'node:net';

import { sweepNowMs } from '../sweep.ts';
import type { Trailers } from '../trailers.ts';

import { HeaderBlock } from './block.ts';
import { ClosedStreams } from './closed-streams.ts';
import { Control, type ControlOwner } from './control.ts';
import { FloodGuard } from './flood.ts';
import { FrameReader, type FrameHandler } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { code, firstWindowBytes, frame, isFault, windowMax } from './frames.ts';
import { HpackDecoder, type FieldSink } from './hpack/decoder.ts';
import { HeadWriter, type OutgoingHead } from './head-writer.ts';
import { Inflow, type InflowOwner } from './inflow.ts';
import type { Http2Limits } from './limits.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import { Http2Stream, type StreamOwner } from './stream.ts';

export abstract class Http2Session
  implements FrameHandler, StreamOwner, OutboxOwner, ControlOwner, InflowOwner
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
  protected readonly closedStreams = new ClosedStreams();
  /** The highest stream that was opened, by either side (only one opens any). */
  protected lastId = 0;
  private readonly reader: FrameReader;
  private readonly decoder = new HpackDecoder();
  private readonly heads: HeadWriter;
  private readonly inflow: Inflow;
  private readonly block: HeaderBlock;

  constructor(socket: Socket, limits: Readonly<Http2Limits>, server: boolean) {
    this.socket = socket;
    this.limits = limits;
    this.reader = new FrameReader(this, server);
    this.writer = new FrameWriter(socket);
    this.outbox = new Outbox(this.writer, this);
    this.flood = new FloodGuard(limits);
    this.block = new HeaderBlock(limits);
    this.control = new Control(this, this.writer, server);
    this.inflow = new Inflow(this, this.control);
    this.heads = new HeadWriter(this.writer);
  }

  /** Where the fields of a block go; null: they are only decoded, to keep the table in step. */
  protected abstract openBlock(block: HeaderBlock): FieldSink | null;
  /** All fields of that block were decoded. */
  protected abstract closeBlock(block: HeaderBlock): void;
  /** The peer resets a stream, or makes us do so; it is not closed yet. */
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

  frame(type: number, flags: number, id: number, payload: Buffer, from: number, to: number): void {
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
    if (this.block.open) this.fail(code.protocol, 'a header block was interrupted');
    else this.inflow.begin(this.streams.get(id), flags, id, bytes);
  }

  dataPart(buffer: Buffer, from: number, to: number, last: boolean): void {
    this.inflow.part(buffer, from, to, last);
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
    this.inflow.credit(stream, bytes);
  }

  reset(stream: Http2Stream, reason: number): void {
    if (stream.closed) return;
    this.control.resetStream(stream.id, reason);
    // What the peer makes us reset is as cheap for it as what it resets itself (CVE-2025-8671).
    if (isFault(reason)) this.peerGaveUp(stream);
    this.closeStream(stream, reason, true);
  }

  /** Closes a stream that the peer has never heard of: it may not be reset (RFC 9113 5.1). */
  unopen(stream: Http2Stream): void {
    stream.handler = null;
    if (!stream.closed) this.closeStream(stream, -1);
  }

  /** Sends a head. @returns false: its edits cannot be sent, nothing was */
  writeHead(stream: Http2Stream, head: OutgoingHead, ends: boolean): boolean {
    if (!this.heads.write(stream.id, head, ends)) return false;
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
    for (const stream of this.streams.values()) this.closeStream(stream, reason);
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
    this.heads.setPeerTableBytesMax(this.control.peer.headerTableBytes);
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
    else this.outbox.pumpOne(stream);
  }

  selfDependency(id: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.reset(stream, code.protocol);
    // A stream that was never opened may not be reset (RFC 9113 6.4).
    else if (this.isIdle(id)) this.fail(code.protocol, `stream ${id} depends on itself`);
  }

  /** No frame may come for a stream that was never opened (RFC 9113 5.1). */
  isIdle(id: number): boolean {
    return id > this.lastId || id % 2 === 0;
  }

  wasReset(id: number): boolean {
    return this.closedStreams.wasReset(id);
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

  closeIfDone(stream: Http2Stream): void {
    if (stream.localEnded && stream.remoteEnded && !stream.closed) this.closeStream(stream, -1);
  }

  /** @param reason -1: it ended well */
  private closeStream(stream: Http2Stream, reason: number, resetByUs = false): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    this.outbox.forget(stream);
    this.closedStreams.add(stream.id, resetByUs);
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
}

/** Decodes what nobody wants. */
const nowhere: FieldSink = { field: () => undefined };
