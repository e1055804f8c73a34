// Writes one request to an upstream of HTTP/1.1: its head with what is there of the body, then the rest.
import type { Socket } from 'node:net';

import { allocate, write } from '../slab.ts';
import type { Trailers } from '../trailers.ts';
import { TurnWriter } from '../turn-writer.ts';
import type { RequestMessage } from '../upstream.ts';

import { lastChunk } from './chunks.ts';

/** A body that came with its head goes out with it, in one write, up to this size. */
const inlineBytesMax = 16_384;
const chunkedLine = 'transfer-encoding: chunked\r\n\r\n';

/** What of an UpstreamStream is about sending. */
export abstract class RequestWriter {
  readonly socket: Socket;
  /** Not usable any more. */
  dead = false;
  /** For bodies that come as content, in small pieces. */
  private readonly out: TurnWriter;
  /** The present request's body comes as HTTP/1.1 frames it. */
  protected asFramed = true;
  /** Content whose length is not known. */
  private chunks = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.out = new TurnWriter(socket);
  }

  abstract get framed(): boolean;

  sendHead(
    request: RequestMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean | null {
    const size = request.http1BytesMax();
    if (size < 0) return null;
    this.asFramed = this.framed;
    if (!this.asFramed) return this.gatherHead(request, size, buffer, from, to, last);
    const bodyBytes = to - from;
    const inline = bodyBytes <= inlineBytesMax ? bodyBytes : 0;
    const piece = allocate(size + inline);
    let length = request.writeHttp1(piece, 0);
    if (inline > 0) length += buffer.copy(piece, length, from, to);
    const more = write(this.socket, piece, length);
    return bodyBytes > inline ? this.socket.write(buffer.subarray(from, to)) : more;
  }

  send(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (!this.asFramed) return this.gather(buffer, from, to, last);
    if (to === from) return true;
    const whole = from === 0 && to === buffer.length;
    return this.socket.write(whole ? buffer : buffer.subarray(from, to));
  }

  /** The answer is read on. */
  resume(): void {
    this.socket.resume();
  }

  endTunnel(): void {
    this.out.flush();
    this.socket.end();
  }

  sendTrailers(trailers: Trailers): void {
    const { out } = this;
    if (this.chunks) {
      out.text('0\r\n');
      const room = out.reserve(trailers.linesBytes);
      out.wrote(trailers.writeLines(room, out.offset));
      out.text('\r\n');
    }
    out.flush();
  }

  private gatherHead(
    request: RequestMessage,
    size: number,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean {
    const { out } = this;
    const room = out.reserve(size);
    const empty = last && from === to;
    // A body without a length is never bare, also when all of it is here: it would be the next request.
    this.chunks = !empty && request.contentLength < 0 && request.upgrade === '';
    const end = request.writeHttp1(room, out.offset);
    // In place of the empty line that ends the head.
    out.wrote(this.chunks ? end - 2 : end);
    if (this.chunks) out.text(chunkedLine);
    return from === to && !last ? true : this.gather(buffer, from, to, last);
  }

  private gather(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { out } = this;
    let more = true;
    if (to > from) {
      if (this.chunks) out.text(`${(to - from).toString(16)}\r\n`);
      more = out.copy(buffer, from, to);
      if (this.chunks) out.text('\r\n');
    }
    if (!last) return more;
    if (this.chunks) out.text(lastChunk);
    return out.flush();
  }
}
