// A response head from an upstream, and the edited copy that goes downstream.
import { CR, FIELD, LF, SPACE, writeLatin1 } from '../bytes.ts';

import type { FieldEncoder } from '../lines.ts';
import type { ResponseMessage } from '../upstream.ts';

import type { HeadState } from './head.ts';
import { MessageHead } from './message.ts';

/** `HTTP/1.1 200`. */
const statusBytes = 12;
const prefix = Buffer.from('HTTP/1.');

export class ResponseHead extends MessageHead implements ResponseMessage {
  status = 0;
  private statusRead = false;
  /** The blank after the status is there, so the line can be sent on as it is. */
  private blank = true;

  unchunk(): void {
    this.cutName('transfer-encoding');
  }

  grpcStatus(): string {
    const at = this.find('grpc-status', 0);
    return at < 0 ? '' : this.valueAt(at);
  }

  http1BytesMax(extra: string): number {
    return this.end - this.start + this.addedBytes() + extra.length + 16;
  }

  writeHttp1(out: Buffer, offset: number, extra: string): number {
    const at = offset;
    const last = this.end - 2;
    if (this.blank) {
      offset = this.copyLines(out, offset, this.start, last);
      // A proxy speaks its own version (RFC 9110 6.2).
      out[at + 7] = 49;
    } else {
      offset = writeLatin1(out, `HTTP/1.1 ${this.status} \r\n`, offset);
      offset = this.copyLines(out, offset, this.linesStart, last);
    }
    offset = this.writeAdded(out, offset);
    if (extra !== '') offset = writeLatin1(out, extra, offset);
    out[offset++] = CR;
    out[offset++] = LF;
    return offset;
  }

  http2BytesMax(): number {
    return this.fieldBytesMax(this.end - this.linesStart) + 16;
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    // What switches protocols in HTTP/1.1 opens a tunnel in HTTP/2 (RFC 8441 5).
    offset = encoder.status(out, offset, this.status === 101 ? 200 : this.status);
    return this.writeFields(encoder, out, offset);
  }

  protected override startLine(): HeadState {
    const { buffer, limit } = this;
    let i = this.scanned;
    if (!this.statusRead) {
      if (limit - i < statusBytes) return 'more';
      for (let at = 0; at < prefix.length; at++) {
        if (buffer[i + at] !== prefix[at]) return 'malformed';
      }
      this.minor = buffer[i + 7]! - 48;
      if ((this.minor !== 0 && this.minor !== 1) || buffer[i + 8] !== SPACE) return 'malformed';
      const hundreds = buffer[i + 9]! - 48;
      const tens = buffer[i + 10]! - 48;
      const ones = buffer[i + 11]! - 48;
      if (hundreds < 1 || hundreds > 9 || !isDigit(tens) || !isDigit(ones)) return 'malformed';
      this.status = hundreds * 100 + tens * 10 + ones;
      this.statusRead = true;
      this.scanned = i += statusBytes;
    }
    const reason = this.start + statusBytes;
    if (i === reason) {
      if (i === limit) return 'more';
      // Some servers leave out the blank before an empty reason; it is not ambiguous.
      this.blank = buffer[i] === SPACE;
      if (!this.blank && buffer[i] !== CR) return 'malformed';
    }
    while (i < limit && FIELD[buffer[i]!] === 1) i++;
    this.scanned = i;
    if (limit - i < 2) return i === limit || buffer[i] === CR ? 'more' : 'malformed';
    if (buffer[i] !== CR || buffer[i + 1] !== LF) return 'malformed';
    this.scanned = i + 2;
    return 'done';
  }

  protected override reset(): void {
    super.reset();
    this.status = 0;
    this.statusRead = false;
  }

  protected override interpret(): HeadState {
    if (!this.settle()) return 'malformed';
    // Framing of what cannot have a body would only confuse the next hop (RFC 9110 8.6, 9112 6.1).
    if (this.status < 200 || this.status === 204) {
      this.cutName('content-length');
      this.cutName('transfer-encoding');
    }
    if (this.upgradeAsked && this.status !== 101) this.cutAt(this.upgradeAt);
    return 'done';
  }

  protected override moved(): void {
    // The start line holds no offsets but `start`.
  }
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}
