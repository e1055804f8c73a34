// What goes out as DATA: as far as windows and the socket let it, in turns when they do not.
import type { Trailers } from '../trailers.ts';

import { flag, firstWindowBytes, frame, frameBytesMax, windowMax } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import { addPiece } from './pieces.ts';
import type { Http2Stream } from './stream.ts';

/** What the outbox tells its session. */
export interface OutboxOwner {
  /** Our side of the stream has ended with the frame just written. */
  localEnd(stream: Http2Stream): void;
  /** Writes a HEADERS frame that ends our side. */
  writeTrailers(stream: Http2Stream, trailers: Trailers): void;
  /** A DATA frame was written. */
  sentData(): void;
}

export class Outbox {
  /** What the peer lets us send on all streams together. */
  window = firstWindowBytes;

  private readonly writer: FrameWriter;
  private readonly owner: OutboxOwner;
  /** Streams with something queued, or that were told to wait, in the order of their turns. */
  private readonly waiting = new Set<Http2Stream>();

  constructor(writer: FrameWriter, owner: OutboxOwner) {
    this.writer = writer;
    this.owner = owner;
  }

  /** As Http2Stream.send. What cannot go now is copied. */
  send(stream: Http2Stream, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    // Whoever waits for the connection goes first.
    const waits = stream.queue.length > 0 || this.writer.full || this.isContended(stream);
    const at = waits ? from : this.write(stream, buffer, from, to, last);
    if (at < to || (waits && last)) {
      addPiece(stream.queue, Buffer.from(buffer.subarray(at, to)));
      stream.queueEnds = last;
      this.waiting.add(stream);
      return false;
    }
    if (!this.writer.full) return true;
    if (!stream.closed) this.waiting.add(stream);
    return false;
  }

  sendTrailers(stream: Http2Stream, trailers: Trailers): void {
    if (stream.queue.length === 0) this.owner.writeTrailers(stream, trailers);
    else stream.queueTrailers = trailers;
  }

  /** The connection's window, a stream's, or the socket has room again. */
  pump(): void {
    const { writer, waiting } = this;
    // One frame for each stream and turn, so that none waits for another's whole body: who has more
    // goes to the end of the line, and so has its next turn within this loop.
    for (const stream of waiting) {
      if (writer.full) return;
      this.turn(stream);
    }
  }

  /** A stream's own window has room again: the others need no look, however often it comes. */
  pumpOne(stream: Http2Stream): void {
    const { queue } = stream;
    while (!this.writer.full && queue.length > 0) {
      const open = Math.min(stream.sendWindow, this.window);
      if (open <= 0 && queue[0]!.length > 0) return;
      this.turn(stream);
    }
  }

  forget(stream: Http2Stream): void {
    this.waiting.delete(stream);
    stream.queue.length = 0;
    stream.queueTrailers = null;
  }

  /** @returns false: more than a window can be (RFC 9113 6.9.1) */
  open(bytes: number): boolean {
    this.window += bytes;
    return this.window <= windowMax;
  }

  /** Others wait for the connection, which has little left. */
  private isContended(stream: Http2Stream): boolean {
    const { waiting } = this;
    if (this.window >= frameBytesMax || waiting.size === 0 || waiting.has(stream)) return false;
    for (const other of waiting) {
      // Who waits for its own window holds up nobody: the connection may stay as it is for long.
      if (other.sendWindow > 0) return true;
    }
    return false;
  }

  private turn(stream: Http2Stream): void {
    const { queue } = stream;
    const [first] = queue;
    if (first !== undefined) {
      const to = Math.min(first.length, frameBytesMax);
      const last = stream.queueEnds && queue.length === 1 && to === first.length;
      const at = this.write(stream, first, 0, to, last);
      if (at === first.length) queue.shift();
      else if (at > 0) queue[0] = first.subarray(at);
      else return;
      // To the end of the line.
      this.waiting.delete(stream);
      if (queue.length > 0) {
        this.waiting.add(stream);
        return;
      }
    } else this.waiting.delete(stream);
    const { queueTrailers } = stream;
    stream.queueTrailers = null;
    if (queueTrailers !== null) this.owner.writeTrailers(stream, queueTrailers);
    else if (!stream.localEnded) stream.handler?.writable();
  }

  /** Writes what windows let pass. @returns where it stopped */
  private write(
    stream: Http2Stream,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): number {
    const { writer } = this;
    let at = from;
    do {
      // An empty frame needs no window.
      const open = Math.min(frameBytesMax, stream.sendWindow, this.window);
      const size = Math.min(to - at, Math.max(0, open));
      const ends = last && at + size === to;
      if (size === 0 && !ends) break;
      writer.frame(size, frame.data, ends ? flag.endStream : 0, stream.id);
      writer.copy(buffer, at, at + size);
      at += size;
      stream.sendWindow -= size;
      this.window -= size;
      this.owner.sentData();
      if (ends) this.owner.localEnd(stream);
    } while (at < to && !writer.full);
    return at;
  }
}
