// What of a request's body has gone upstream after the head, kept in case it has to go once more.
import type { UpstreamStream } from '../upstream.ts';

/** Bodies up to this are kept, as much as Istio lets Envoy buffer; a longer one can go only once. */
export const keptBytesMax = 32_768;

/** Only bodies of a known length: their bytes are the same to every upstream. */
export function isKept(request: {
  readonly chunked: boolean;
  readonly contentLength: number;
}): boolean {
  return !request.chunked && request.contentLength <= keptBytesMax;
}

export class KeptBody {
  private pieces: Buffer[] = [];
  private bytes = 0;

  /** @returns false: it is too much, and nothing is kept any more */
  keep(buffer: Buffer, from: number, to: number): boolean {
    this.bytes += to - from;
    if (this.bytes > keptBytesMax) {
      this.pieces = [];
      return false;
    }
    this.pieces.push(Buffer.from(buffer.subarray(from, to)));
    return true;
  }

  /** @param ends the body ends with it. @returns as UpstreamStream.send */
  sendTo(upstream: UpstreamStream, ends: boolean): boolean {
    let more = true;
    for (const [i, piece] of this.pieces.entries()) {
      more = upstream.send(piece, 0, piece.length, ends && i === this.pieces.length - 1);
    }
    return more;
  }
}
