// Frames of HTTP/2 as a load client needs them, RFC 9113 section 4 and 6.

export const frames = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
export const flags = { ack: 1, endStream: 1, endHeaders: 4 } as const;
export const settings = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4 } as const;

const headBytes = 9;

export function frame(type: number, flag: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flag;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, headBytes);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param entries identifiers with values */
export function settingsPayload(entries: readonly (readonly [number, number])[]): Buffer {
  const bytes = Buffer.alloc(entries.length * 6);
  for (const [i, [id, value]] of entries.entries()) {
    bytes.writeUInt16BE(id, i * 6);
    bytes.writeUInt32BE(value, i * 6 + 2);
  }
  return bytes;
}

export interface FrameListener {
  /** Part of a DATA frame; `end`: its last part, with END_STREAM. `part` is only good during the call. */
  data(stream: number, bytes: number, end: boolean, part: Buffer): void;
  /** Any other frame, whole. */
  control(type: number, flag: number, stream: number, payload: Buffer): void;
}

/** Cuts a byte stream into frames; the bytes of DATA are not kept. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #head = Buffer.alloc(headBytes);
  #headHas = 0;
  #left = 0;
  #payload: Buffer[] = [];

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headHas < headBytes) {
        const take = Math.min(headBytes - this.#headHas, chunk.length - at);
        chunk.copy(this.#head, this.#headHas, at, at + take);
        this.#headHas += take;
        at += take;
        if (this.#headHas < headBytes) return;
        this.#left = this.#head.readUIntBE(0, 3);
      }
      const take = Math.min(this.#left, chunk.length - at);
      this.#left -= take;
      this.#pass(chunk.subarray(at, at + take));
      at += take;
      if (this.#left === 0) this.#headHas = 0;
    }
  }

  #pass(part: Buffer): void {
    const [type = 0, flag = 0] = [this.#head[3], this.#head[4]];
    const stream = this.#head.readUInt32BE(5) & 0x7fffffff;
    if (type === frames.data) {
      const end = this.#left === 0 && (flag & flags.endStream) !== 0;
      this.#listener.data(stream, part.length, end, part);
      return;
    }
    this.#payload.push(part);
    if (this.#left > 0) return;
    const [only] = this.#payload;
    const whole =
      this.#payload.length === 1 && only !== undefined ? only : Buffer.concat(this.#payload);
    this.#payload = [];
    this.#listener.control(type, flag, stream, whole);
  }
}
