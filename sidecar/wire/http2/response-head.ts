// A response head that came as HTTP/2 fields (RFC 9113 8.3.2), and the edited copy that goes downstream.
import { CR, LF, writeLatin1 } from '../bytes.ts';
import type { FieldEncoder } from '../lines.ts';
import { statusLine, statusLineBytesMax } from '../status-line.ts';
import type { ResponseMessage } from '../upstream.ts';

import { FieldLines, type BlockState } from './field-lines.ts';

export class Http2ResponseHead extends FieldLines implements ResponseMessage {
  readonly chunked = false;
  status = 0;

  override begin(): void {
    super.begin();
    this.status = 0;
  }

  /** All fields were decoded. @returns what became of the block */
  settle(): BlockState {
    // 101 has no meaning in HTTP/2 (RFC 9113 8.6).
    if (this.state === 'ok' && (this.status === 0 || this.status === 101)) this.state = 'malformed';
    if (this.status < 200 || this.status === 204) this.cutName('content-length');
    return this.state;
  }

  unchunk(): void {
    // HTTP/2 frames every body itself.
  }

  grpcStatus(): string {
    const at = this.find('grpc-status', 0);
    return at < 0 ? '' : this.valueAt(at);
  }

  http1BytesMax(extra: string): number {
    return this.length + this.addedBytes() + extra.length + statusLineBytesMax;
  }

  writeHttp1(out: Buffer, offset: number, extra: string): number {
    offset = writeLatin1(out, statusLine(this.status), offset);
    offset = this.copyLines(out, offset, 0, this.length);
    offset = this.writeAdded(out, offset);
    if (extra !== '') offset = writeLatin1(out, extra, offset);
    out[offset++] = CR;
    out[offset++] = LF;
    return offset;
  }

  http2BytesMax(): number {
    return this.fieldBytesMax(this.length) + statusLineBytesMax;
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    offset = encoder.status(out, offset, this.status);
    return this.writeFields(encoder, out, offset);
  }

  protected override pseudo(name: string, values: Buffer, from: number, to: number): boolean {
    if (name !== ':status' || this.status !== 0 || to - from !== 3) return false;
    for (let i = from; i < to; i++) {
      const digit = values[i]! - 48;
      if (digit < 0 || digit > 9) return false;
      this.status = this.status * 10 + digit;
    }
    return this.status >= 100;
  }

  /** `Host` and `Expect` say nothing in a response. */
  protected override note(): boolean {
    return true;
  }
}
