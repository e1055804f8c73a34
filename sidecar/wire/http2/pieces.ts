// Bytes that wait, in few pieces: an object for each byte that a peer sends alone would cost what no window counts.
import { frameBytesMax } from './frames.ts';

const togetherMax = 64;

/** Adds a piece. @param kept those before this index stay as they are */
export function addPiece(pieces: Buffer[], piece: Buffer, kept = 0): void {
  pieces.push(piece);
  const from = pieces.length - togetherMax;
  if (from < kept || (from - kept) % togetherMax !== 0) return;
  let bytes = 0;
  for (let i = from; i < pieces.length; i++) bytes += pieces[i]!.length;
  if (bytes <= frameBytesMax) pieces.push(Buffer.concat(pieces.splice(from), bytes));
}
