// Whole lines into a pipe that others write to as well: pieces that the kernel takes whole or not at all.
import { constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * PIPE_BUF of Linux (pipe(7), POSIX write()): no more than so many bytes are never mixed with what
 * other threads and processes write. A whole batch would be, as soon as the pipe is full: its rest
 * would stand behind another's line, and would look like a line of its own, made of what a client sent.
 */
export const pieceBytesMax = 4096;

const cutMark = ' [cut]\n';

/** @param line newline included; what is longer than a piece is cut, and says so */
export function fitPiece(line: string): string {
  return line.length <= pieceBytesMax
    ? line
    : line.slice(0, pieceBytesMax - cutMark.length) + cutMark;
}

/** Where the piece that begins at `from` ends: after its last whole line. */
export function pieceEnd(bytes: Uint8Array, from: number): number {
  const limit = from + pieceBytesMax;
  if (bytes.length <= limit) return bytes.length;
  const newline = bytes.lastIndexOf(10, limit - 1);
  return newline < from ? limit : newline + 1;
}

/**
 * Whether a descriptor is a pipe, as standard output is in Kubernetes, or the socket that Node gives
 * to its children in place of one.
 */
export function isPipe(fd: number): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isFIFO() || stats.isSocket();
  } catch {
    return false;
  }
}

/**
 * The same pipe by a descriptor that does not block, which only we have: standard output itself is
 * shared with whoever started us. Sockets cannot be opened anew, but Node makes its children's
 * non-blocking. Null: writes may block.
 */
export function nonBlockingOf(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return isNonBlocking(fd) ? fd : null;
  }
}

function isNonBlocking(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
    return (Number.parseInt(flags?.[1] ?? '0', 8) & constants.O_NONBLOCK) !== 0;
  } catch {
    return false;
  }
}

/**
 * Writes as many pieces as the pipe takes now.
 * @returns where to go on: `bytes.length` when all is written
 * @throws Error of the system, but for a pipe that is full
 */
export function writePieces(fd: number, bytes: Uint8Array, from: number): number {
  let at = from;
  try {
    while (at < bytes.length) {
      const end = pieceEnd(bytes, at);
      writeSync(fd, bytes, at, end - at);
      at = end;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return at;
}
