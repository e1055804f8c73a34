// A bump allocator for bytes on their way out: one allocation serves hundreds of writes.
import type { Writable } from 'node:stream';

const slabBytes = 65_536;
/** Larger pieces get memory of their own. */
const pieceBytesMax = 16_384;

let slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
let used = 0;

/** Memory for at most `size` bytes. Give it to `write` before the next call. */
export function allocate(size: number): Buffer {
  if (size > pieceBytesMax) return Buffer.allocUnsafeSlow(size);
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
  const more = socket.write(bytes);
  if (piece.buffer === slab.buffer) {
    used = piece.byteOffset + (socket.writableLength === 0 ? 0 : size);
  }
  return more;
}

/** Writes a copy of `from…to`, for buffers that are read into again. */
export function writeCopy(socket: Writable, source: Buffer, from: number, to: number): boolean {
  const piece = allocate(to - from);
  source.copy(piece, 0, from, to);
  return write(socket, piece, to - from);
}
