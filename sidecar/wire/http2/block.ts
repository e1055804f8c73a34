// Puts a header block together from HEADERS and its CONTINUATION frames (RFC 9113 4.3).
import { code, flag } from './frames.ts';
import type { Http2Limits } from './limits.ts';

/** What the first frame of a block says. */
export interface BlockHead {
  id: number;
  endStream: boolean;
  /** The stream that this one depends on, or -1: a dependency on itself is an error. */
  dependsOn: number;
}

const nothing: Buffer = Buffer.alloc(0);

export class HeaderBlock implements BlockHead {
  id = 0;
  endStream = false;
  dependsOn = -1;
  /** CONTINUATION frames have to follow. */
  open = false;
  /** The block once it is whole: `bytes[from…to]`, good only until the next frame. */
  bytes: Buffer = nothing;
  from = 0;
  to = 0;

  private readonly limits: Readonly<Http2Limits>;
  private continuations = 0;

  constructor(limits: Readonly<Http2Limits>) {
    this.limits = limits;
  }

  /** A HEADERS frame. @returns an error code; none: look at `open` */
  begin(flags: number, id: number, payload: Buffer, from: number, to: number): number {
    let at = from;
    let end = to;
    if ((flags & flag.padded) !== 0) {
      if (at === end) return code.frameSize;
      end -= payload[at]!;
      at += 1;
    }
    this.dependsOn = -1;
    if ((flags & flag.priority) !== 0) {
      if (end - at < 5) return end < at ? code.protocol : code.frameSize;
      this.dependsOn = payload.readUInt32BE(at) & 0x7fff_ffff;
      at += 5;
    }
    if (end < at) return code.protocol;
    this.id = id;
    this.endStream = (flags & flag.endStream) !== 0;
    this.open = (flags & flag.endHeaders) === 0;
    this.continuations = 0;
    // Bytes of a block that goes on must outlive the frame.
    this.bytes = this.open ? Buffer.from(payload.subarray(at, end)) : payload;
    this.from = this.open ? 0 : at;
    this.to = this.open ? this.bytes.length : end;
    return code.none;
  }

  /** A CONTINUATION frame. @returns an error code */
  continue(flags: number, id: number, payload: Buffer, from: number, to: number): number {
    if (!this.open || id !== this.id) return code.protocol;
    this.continuations++;
    const bytes = this.to + to - from;
    // A flood of them (CVE-2024-27919) costs what the limits say, not what the peer likes.
    if (this.continuations > this.limits.continuationsMax || bytes > this.limits.headBytesMax) {
      return code.enhanceYourCalm;
    }
    this.bytes = Buffer.concat([this.bytes, payload.subarray(from, to)], bytes);
    this.to = bytes;
    this.open = (flags & flag.endHeaders) === 0;
    return code.none;
  }

  clear(): void {
    this.bytes = nothing;
  }
}
