// Writes header blocks as HEADERS and, when one is longer than a frame, CONTINUATION (RFC 9113 4.3).
import type { FieldEncoder } from '../lines.ts';

import type { FrameWriter } from './frame-writer.ts';
import { flag, frame, frameBytesMax, frameHeadBytes } from './frames.ts';
import { HpackEncoder } from './hpack/encoder.ts';

/** A head that can be sent: a request's, a response's, trailers. */
export interface OutgoingHead {
  http2BytesMax(): number;
  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number;
}

export class HeadWriter {
  private readonly writer: FrameWriter;
  private readonly encoder = new HpackEncoder();

  constructor(writer: FrameWriter) {
    this.writer = writer;
  }

  setPeerTableBytesMax(bytes: number): void {
    this.encoder.setPeerTableBytesMax(bytes);
  }

  /** @returns false: its edits cannot be sent, nothing was */
  write(id: number, head: OutgoingHead, ends: boolean): boolean {
    const bytesMax = head.http2BytesMax();
    if (bytesMax < 0) return false;
    const { writer, encoder } = this;
    const frames = 1 + Math.ceil(bytesMax / frameBytesMax);
    writer.reserve(bytesMax + frames * frameHeadBytes);
    const from = writer.at + frameHeadBytes;
    const begun = encoder.begin(writer.bytes, from);
    const length = head.writeHttp2(encoder, writer.bytes, begun) - from;
    const endStream = ends ? flag.endStream : 0;
    if (length <= frameBytesMax) {
      writer.headAt(writer.at, length, frame.headers, endStream | flag.endHeaders, id);
      writer.at += frameHeadBytes + length;
      writer.schedule();
    } else this.split(id, from, length, endStream);
    return true;
  }

  private split(id: number, from: number, length: number, endStream: number): void {
    const { writer } = this;
    const block = Buffer.from(writer.bytes.subarray(from, from + length));
    for (let at = 0; at < length; at += frameBytesMax) {
      const size = Math.min(frameBytesMax, length - at);
      const type = at === 0 ? frame.headers : frame.continuation;
      const last = at + size === length ? flag.endHeaders : 0;
      writer.frame(size, type, at === 0 ? endStream | last : last, id);
      writer.copy(block, at, at + size);
    }
  }
}
