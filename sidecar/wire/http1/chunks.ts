// Writes content as a chunked body (RFC 9112 7.1), for receivers of HTTP/1.1 that cannot be told its length.
import type { Socket } from 'node:net';

import { writeLatin1 } from '../bytes.ts';
import type { Trailers } from '../trailers.ts';
import { allocate, write } from '../slab.ts';

export const lastChunk = '0\r\n\r\n';

/** @param last the body ends with it. @returns false when the socket wants no more for now */
export function writeChunk(
  socket: Socket,
  buffer: Buffer,
  from: number,
  to: number,
  last: boolean,
): boolean {
  const size = `${(to - from).toString(16)}\r\n`;
  const end = last ? `\r\n${lastChunk}` : '\r\n';
  const piece = allocate(size.length + to - from + end.length);
  let length = writeLatin1(piece, size, 0);
  length += buffer.copy(piece, length, from, to);
  return write(socket, piece, writeLatin1(piece, end, length));
}

/** The last chunk and what follows it. */
export function writeTrailers(socket: Socket, trailers: Trailers): boolean {
  const piece = allocate(trailers.linesBytes + lastChunk.length);
  let length = writeLatin1(piece, '0\r\n', 0);
  length = trailers.writeLines(piece, length);
  return write(socket, piece, writeLatin1(piece, '\r\n', length));
}
