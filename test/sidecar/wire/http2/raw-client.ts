// An HTTP/2 client that writes whatever it is told: frames and literal HPACK by hand, no rule obeyed.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export const frames = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const;
export const flags = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const headBytes = 9;
const pieceBytes = 16;

/** What became of a request. */
export interface Outcome {
  /** 0: no answer came. */
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The stream, or the connection with it, ended by an error. */
  readonly refused: boolean;
}

interface Pending {
  status: number;
  body: string;
  headers: Record<string, string>;
  done: (outcome: Outcome) => void;
}

/** A frame as it goes over the wire. */
export function frame(type: number, flag: number, id: number, payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(headBytes);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, bytes]);
}

/** A header block of literals without indexing or Huffman (RFC 7541 6.2.2), whatever their bytes. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), ...text(name), ...text(value)]),
  );
}

function text(value: string): [Buffer, Buffer] {
  const bytes = Buffer.from(value, 'latin1');
  return [length(bytes.length), bytes];
}

/** A prefixed integer of 7 bits (RFC 7541 5.1). */
function length(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export class RawClient {
  readonly socket: Socket;
  closed = false;
  private nextId = 1;
  private input: Buffer = Buffer.alloc(0);
  private readonly decoder = new HpackDecoder();
  private readonly settled = Promise.withResolvers<void>();
  private readonly pending = new Map<number, Pending>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.read(bytes));
    socket.on('close', () => this.gone());
    socket.on('end', () => this.gone());
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    socket.write(Buffer.concat([Buffer.from(preface), frame(frames.settings, 0, 0, '')]));
    // Nothing of ours may come between the pieces of what a test writes.
    await client.settled.promise;
    return client;
  }

  /**
   * Writes the bytes that `make` gives for a new stream. Rejects when nothing comes of it.
   * @param slowly a few bytes in each turn of the event loop
   */
  async send(make: (id: number) => Buffer, slowly = false): Promise<Outcome> {
    const id = this.nextId;
    this.nextId += 2;
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const timer = setTimeout(() => reject(new Error('neither answered nor refused')), 8_000);
    this.pending.set(id, { status: 0, body: '', headers: {}, done: resolve });
    if (this.closed) this.gone();
    else if (slowly) void this.writeSlowly(make(id));
    else this.socket.write(make(id));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.socket.destroy();
  }

  private async writeSlowly(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.closed; at += pieceBytes) {
      this.socket.write(bytes.subarray(at, at + pieceBytes));
      await new Promise(setImmediate);
    }
  }

  private read(bytes: Buffer): void {
    this.input = Buffer.concat([this.input, bytes]);
    while (this.input.length >= headBytes) {
      const size = headBytes + this.input.readUIntBE(0, 3);
      if (this.input.length < size) return;
      const payload = this.input.subarray(headBytes, size);
      const [type = 0, flag = 0] = this.input.subarray(3, 5);
      this.take(type, flag, this.input.readUInt32BE(5), payload);
      this.input = this.input.subarray(size);
    }
  }

  private take(type: number, flag: number, id: number, payload: Buffer): void {
    const stream = this.pending.get(id);
    if (type === frames.settings && (flag & flags.ack) === 0) {
      this.socket.write(frame(frames.settings, flags.ack, 0, ''));
      this.settled.resolve();
    } else if (type === frames.headers) this.fields(stream, payload);
    else if (type === frames.data && stream !== undefined)
      stream.body += payload.toString('latin1');
    else if (type === frames.reset) this.finish(id, true);
    else if (type === frames.goaway) this.goaway(payload);
    const ends = type === frames.data || type === frames.headers;
    if (ends && (flag & flags.endStream) !== 0) this.finish(id, false);
  }

  private fields(stream: Pending | undefined, payload: Buffer): void {
    const headers: Record<string, string> = {};
    this.decoder.decode(payload, 0, payload.length, {
      field: (names, nameFrom, nameTo, values, from, to) => {
        headers[names.toString('latin1', nameFrom, nameTo)] = values.toString('latin1', from, to);
      },
    });
    if (stream === undefined) return;
    const status = Number(headers[':status'] ?? 0);
    if (status > 0) stream.status = status;
    Object.assign(stream.headers, headers);
  }

  private goaway(payload: Buffer): void {
    const lastId = payload.readUInt32BE(0);
    const reason = payload.readUInt32BE(4);
    for (const id of this.pending.keys()) if (id > lastId || reason !== 0) this.finish(id, true);
    this.closed = true;
  }

  private gone(): void {
    this.closed = true;
    this.settled.resolve();
    for (const id of this.pending.keys()) this.finish(id, true);
  }

  private finish(id: number, refused: boolean): void {
    const stream = this.pending.get(id);
    if (stream === undefined) return;
    this.pending.delete(id);
    const { status, body, headers } = stream;
    stream.done({ status, body, headers, refused });
  }
}
