// Where a message body ends, by whichever framing its head declares (RFC 9112 6.3).
import type { Trailers } from '../trailers.ts';

import { ChunkedBody } from './chunked.ts';
import type { ParseLimits } from './limits.ts';

type Framing = 'none' | 'length' | 'chunked' | 'until-close';

export class BodyCursor {
  framing: Framing = 'none';
  done = true;

  private left = 0;
  private taken = 0;
  private chunks: ChunkedBody | null = null;
  private readonly limits: ParseLimits;

  constructor(limits: ParseLimits) {
    this.limits = limits;
  }

  /** Bytes of content so far, without chunk framing. */
  get bytes(): number {
    return this.framing === 'chunked' && this.chunks !== null ? this.chunks.dataBytes : this.taken;
  }

  /** What came after a chunked body, once it is done; null: nothing. */
  get trailers(): Trailers | null {
    return this.framing === 'chunked' && this.chunks !== null ? this.chunks.trailers : null;
  }

  /** @param length -1: until the connection closes */
  begin(chunked: boolean, length: number): void {
    this.taken = 0;
    this.done = false;
    if (chunked) {
      this.framing = 'chunked';
      this.chunks ??= new ChunkedBody(this.limits);
      this.chunks.reset();
      return;
    }
    this.left = length;
    this.framing = length < 0 ? 'until-close' : length > 0 ? 'length' : 'none';
    this.done = length === 0;
  }

  /**
   * Takes what belongs to the body from the bytes at `from…to`.
   * @param onData gets the content without framing, when chunked; null: not wanted
   * @returns the end of what belongs to it (then look at `done`), -1 if it is malformed
   */
  take(
    buffer: Buffer,
    from: number,
    to: number,
    onData: ((buffer: Buffer, from: number, to: number) => void) | null = null,
  ): number {
    if (this.framing === 'chunked') {
      const end = this.chunks!.scan(buffer, from, to, onData);
      this.done = this.chunks!.done;
      return end;
    }
    if (this.framing === 'until-close') {
      this.taken += to - from;
      return to;
    }
    const run = Math.min(this.left, to - from);
    this.taken += run;
    this.left -= run;
    this.done = this.left === 0;
    return from + run;
  }
}
