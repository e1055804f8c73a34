// The head of an answer of our own, as HTTP/2 fields.
import type { FieldEncoder } from '../lines.ts';
import type { Reply } from '../reply.ts';

import type { OutgoingHead } from './head-writer.ts';

/** What HPACK may add to a field, and the status. */
const overheadBytes = 16;
const line = /^([^:]+): *(.*)\r\n/gm;

export class ReplyHead implements OutgoingHead {
  private readonly status: number;
  private readonly fields: (readonly [name: string, value: string])[] = [];
  private bytes = overheadBytes;

  constructor({ status, lines }: Reply) {
    this.status = status;
    for (const [, name = '', value = ''] of lines.matchAll(line)) {
      this.fields.push([name.toLowerCase(), value]);
      this.bytes += name.length + value.length + overheadBytes;
    }
  }

  http2BytesMax(): number {
    return this.bytes;
  }

  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number {
    offset = encoder.status(out, offset, this.status);
    for (const [name, value] of this.fields) offset = encoder.text(out, offset, name, value);
    return offset;
  }
}
