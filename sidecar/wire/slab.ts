// Memory for bytes on their way out: a bump allocator for heads, recycled sheets for bodies.
import type { Writable } from 'node:stream';

const slabBytes = 65_536;
/** Larger pieces get a sheet. */
const pieceBytesMax = 16_384;
/** One read of an upstream and the head before it. */
const sheetBytes = 72 * 1_024;
/** Sheets that are kept while nobody needs them: 1.1 MB. */
const idleSheetsMax = 16;

export interface Sheet {
  readonly buffer: Buffer;
  /** The bytes were written, or never will be. */
  readonly done: () => void;
}

let slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
let used = 0;
const idleSheets: Sheet[] = [];
/** The one that `allocate` returned last, if it did. */
let sheet: Sheet | null = null;

/** A sheet, or something larger when `size` asks for more. */
export function takeSheet(size: number): Sheet {
  if (size <= sheetBytes) return idleSheets.pop() ?? newSheet();
  return { buffer: Buffer.allocUnsafeSlow(size), done: () => undefined };
}

/** Memory for at most `size` bytes. Give it to `write` before the next call. */
export function allocate(size: number): Buffer {
  sheet = null;
  if (size > sheetBytes) return Buffer.allocUnsafeSlow(size);
  if (size > pieceBytesMax) {
    sheet = idleSheets.pop() ?? newSheet();
    return sheet.buffer;
  }
  if (used + size > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    used = 0;
  }
  return slab.subarray(used, (used += size));
}

/**
 * Writes the first `size` bytes of what `allocate` returned last and takes back the rest, or all of
 * it when the kernel took the bytes at once (then nothing refers to them any more).
 * @returns false when the socket wants no more for now
 */
export function write(socket: Writable, piece: Buffer, size: number): boolean {
  const bytes = size === piece.length ? piece : piece.subarray(0, size);
  if (sheet !== null) return writeSheet(socket, sheet, bytes);
  const more = socket.write(bytes);
  if (piece.buffer === slab.buffer) {
    used = piece.byteOffset + (socket.writableLength === 0 ? 0 : size);
  }
  return more;
}

/**
 * Writes bytes of a sheet and takes it back when nothing refers to them any more: for a plain socket
 * that is most often at once; TLS, and a socket that lags, tell it by the write's callback.
 */
export function writeSheet(socket: Writable, from: Sheet, bytes: Buffer): boolean {
  if ('encrypted' in socket || socket.writableLength > 0) return socket.write(bytes, from.done);
  const more = socket.write(bytes);
  // The first write that a socket does not take at once keeps its sheet for good.
  if (socket.writableLength === 0) from.done();
  return more;
}

/** Writes a copy of `from…to`, for buffers that are read into again. */
export function writeCopy(socket: Writable, source: Buffer, from: number, to: number): boolean {
  const piece = allocate(to - from);
  source.copy(piece, 0, from, to);
  return write(socket, piece, to - from);
}

function newSheet(): Sheet {
  const buffer = Buffer.allocUnsafeSlow(sheetBytes);
  const made: Sheet = {
    buffer,
    done: () => {
      if (idleSheets.length < idleSheetsMax) idleSheets.push(made);
    },
  };
  return made;
}
