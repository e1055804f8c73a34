// Writes one request to an upstream of HTTP/1.1: its head with what is there of the body, then the rest.
import type { Socket } from 'node:net';

import { writeLatin1 } from '../bytes.ts';
import { allocate, write } from '../slab.ts';
import type { Trailers } from '../trailers.ts';
import type { RequestMessage } from '../upstream.ts';

import { lastChunk, writeChunk, writeTrailers } from './chunks.ts';

/** A body that came with its head goes out with it, in one write, up to this size. */
const inlineBytesMax = 16_384;
const chunkedLine = 'transfer-encoding: chunked\r\n\r\n';

export class RequestWriter {
  private readonly socket: Socket;
  /** The body comes as content, and its length is not known. */
  private chunks = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /**
   * @param framed the body comes as HTTP/1.1 frames it
   * @returns as UpstreamStream.sendHead
   */
  head(
    request: RequestMessage,
    framed: boolean,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean | null {
    const size = request.http1BytesMax();
    if (size < 0) return null;
    this.chunks = !framed && !last && request.contentLength < 0;
    const bodyBytes = to - from;
    const inline = !this.chunks && bodyBytes <= inlineBytesMax ? bodyBytes : 0;
    const piece = allocate(size + inline + chunkedLine.length);
    let length = request.writeHttp1(piece, 0);
    // In place of the empty line that ends the head.
    if (this.chunks) length = writeLatin1(piece, chunkedLine, length - 2);
    if (inline > 0) length += buffer.copy(piece, length, from, to);
    const more = write(this.socket, piece, length);
    return bodyBytes > inline ? this.body(buffer, from, to, last) : more;
  }

  body(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    const { socket } = this;
    if (this.chunks) {
      if (to > from) return writeChunk(socket, buffer, from, to, last);
      return last ? socket.write(lastChunk) : true;
    }
    if (to === from) return true;
    const whole = from === 0 && to === buffer.length;
    return socket.write(whole ? buffer : buffer.subarray(from, to));
  }

  trailers(trailers: Trailers): void {
    if (this.chunks) writeTrailers(this.socket, trailers);
  }
}
