// HTTP/2 and gRPC load: so many calls at a time on each connection, by a client that is only framing.
import type { Socket } from 'node:net';

import { openConnection } from './connection.ts';
import { headerBlocks, isStatus200, type HeaderBlocks } from './hpack.ts';
import {
  flags,
  frame,
  FrameReader,
  frames,
  settings,
  settingsPayload,
  uint32,
} from './http2-frames.ts';
import type { Meter } from './meter.ts';
import type { LoadOptions } from './options.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Answers are never held up by this end. */
const streamWindow = 16 * 1024 * 1024;
const connectionWindow = 1024 * 1024 * 1024;
/** Until the peer says otherwise, RFC 9113 section 6.5.2. */
const peerWindow = 65_535;
const frameBytesMax = 16_384;
const maxStreamId = 0x7fffff00;
/** Of a message of gRPC: not compressed, and its length. */
export const grpcPrefixBytes = 5;

interface Call {
  sentAtMs: number;
  received: number;
  isOk: boolean;
  /** Of the request's body, not sent yet. */
  unsent: number;
  window: number;
}

export function openHttp2(options: LoadOptions, meter: Meter): void {
  const blocks = headerBlocks(fieldsOf(options));
  const body = bodyOf(options);
  const prefix = options.speaks === 'grpc' ? grpcPrefixBytes : 0;
  const wanted = options.responseBytes + prefix;
  const open = (): void =>
    openConnection(
      options,
      meter,
      (socket) => void new Connection(socket, options.streams, blocks, body, wanted, meter),
      open,
    );
  open();
}

function fieldsOf({ speaks, method, target, tls, requestBytes }: LoadOptions): [string, string][] {
  const fields: [string, string][] = [
    [':method', method],
    [':scheme', tls === null ? 'http' : 'https'],
    [':path', target],
    [':authority', 'server.bench:8080'],
    ['user-agent', 'bench/1.0'],
  ];
  if (speaks === 'grpc') {
    fields.push(['content-type', 'application/grpc'], ['te', 'trailers']);
    fields.push(['grpc-accept-encoding', 'identity']);
  } else {
    fields.push(['accept', 'application/json'], ['accept-encoding', 'gzip, br']);
    if (requestBytes > 0) fields.push(['content-length', String(requestBytes)]);
  }
  return fields;
}

function bodyOf({ speaks, requestBytes }: LoadOptions): Buffer {
  const body = Buffer.alloc(requestBytes, 'q');
  if (speaks !== 'grpc') return body;
  return Buffer.concat([Buffer.of(0), uint32(requestBytes), body]);
}

class Connection {
  readonly #socket: Socket;
  readonly #streams: number;
  readonly #blocks: HeaderBlocks;
  readonly #body: Buffer;
  readonly #wanted: number;
  readonly #meter: Meter;
  readonly #calls = new Map<number, Call>();
  readonly #send = (atMs: number): void => this.#start(atMs);
  #out: Buffer[] = [];
  #nextId = 1;
  #hasTable = true;
  #begun = false;
  #window = peerWindow;
  #initialWindow = peerWindow;
  #consumed = 0;

  constructor(
    socket: Socket,
    streams: number,
    blocks: HeaderBlocks,
    body: Buffer,
    wanted: number,
    meter: Meter,
  ) {
    this.#socket = socket;
    this.#streams = streams;
    this.#blocks = blocks;
    this.#body = body;
    this.#wanted = wanted;
    this.#meter = meter;
    const reader = new FrameReader({
      data: (stream, bytes, end) => this.#data(stream, bytes, end),
      control: (type, flag, stream, payload) => this.#control(type, flag, stream, payload),
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    this.#write(preface);
    const ours = [
      [settings.enablePush, 0],
      [settings.initialWindowSize, streamWindow],
    ] as const;
    this.#write(frame(frames.settings, 0, 0, settingsPayload(ours)));
    this.#write(frame(frames.windowUpdate, 0, 0, uint32(connectionWindow)));
  }

  /** All that is written in one turn of the loop leaves in one piece. */
  #write(bytes: Buffer): void {
    if (this.#out.length === 0) process.nextTick(() => this.#flush());
    this.#out.push(bytes);
  }

  #flush(): void {
    const [only] = this.#out;
    const bytes = this.#out.length === 1 && only !== undefined ? only : Buffer.concat(this.#out);
    this.#out = [];
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  #start(atMs: number): void {
    const id = this.#nextId;
    this.#nextId += 2;
    if (id > maxStreamId) this.#socket.destroy(new Error('out of stream numbers'));
    const { first, next, plain } = this.#blocks;
    const block = !this.#hasTable ? plain : id === 1 ? first : next;
    const unsent = this.#body.length;
    const flag = flags.endHeaders | (unsent === 0 ? flags.endStream : 0);
    this.#write(frame(frames.headers, flag, id, block));
    const call = { sentAtMs: atMs, received: 0, isOk: false, unsent, window: this.#initialWindow };
    this.#calls.set(id, call);
    if (unsent > 0) this.#sendBody(id, call);
  }

  #sendBody(id: number, call: Call): void {
    while (call.unsent > 0) {
      const bytes = Math.min(call.unsent, call.window, this.#window, frameBytesMax);
      if (bytes <= 0) return;
      const from = this.#body.length - call.unsent;
      call.unsent -= bytes;
      call.window -= bytes;
      this.#window -= bytes;
      const flag = call.unsent === 0 ? flags.endStream : 0;
      this.#write(frame(frames.data, flag, id, this.#body.subarray(from, from + bytes)));
    }
  }

  #data(id: number, bytes: number, end: boolean): void {
    this.#consumed += bytes;
    if (this.#consumed > connectionWindow / 2) {
      this.#write(frame(frames.windowUpdate, 0, 0, uint32(this.#consumed)));
      this.#consumed = 0;
    }
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.received += bytes;
    if (end) this.#finish(id, call, '');
  }

  #control(type: number, flag: number, id: number, payload: Buffer): void {
    const call = this.#calls.get(id);
    if (type === frames.headers && call !== undefined) {
      // Trailers have no status; theirs came before.
      call.isOk ||= isStatus200(payload);
      if ((flag & flags.endStream) !== 0) this.#finish(id, call, '');
    } else if (type === frames.windowUpdate) {
      this.#widen(id, payload.readUInt32BE(0) & 0x7fffffff);
    } else if (type === frames.settings && (flag & flags.ack) === 0) {
      this.#heed(payload);
    } else if (type === frames.ping && (flag & flags.ack) === 0) {
      this.#write(frame(frames.ping, flags.ack, 0, payload));
    } else if (type === frames.resetStream && call !== undefined) {
      this.#finish(id, call, `RST_STREAM ${payload.readUInt32BE(0)}`);
    } else if (type === frames.goAway) {
      this.#socket.destroy(new Error(`GOAWAY ${payload.readUInt32BE(4)}`));
    }
  }

  #finish(id: number, call: Call, reason: string): void {
    this.#calls.delete(id);
    if (reason !== '') this.#meter.fail(reason);
    else if (!call.isOk) this.#meter.fail('another status than 200');
    else if (call.received !== this.#wanted) this.#meter.fail(`${call.received} bytes of body`);
    else this.#meter.done(call.sentAtMs, 1);
    this.#meter.ready(this.#send);
  }

  #widen(id: number, bytes: number): void {
    const call = this.#calls.get(id);
    if (id === 0) this.#window += bytes;
    else if (call !== undefined) call.window += bytes;
    this.#sendBodies();
  }

  #sendBodies(): void {
    for (const [id, call] of this.#calls) {
      if (this.#window <= 0) return;
      if (call.unsent > 0) this.#sendBody(id, call);
    }
  }

  /** The peer's settings; calls begin after the first, since it may not want a header table. */
  #heed(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
      if (id === settings.initialWindowSize) {
        for (const call of this.#calls.values()) call.window += value - this.#initialWindow;
        this.#initialWindow = value;
      } else if (id === settings.headerTableSize && !this.#begun && value < 1024) {
        this.#hasTable = false;
      }
    }
    this.#write(frame(frames.settings, flags.ack, 0, Buffer.alloc(0)));
    this.#sendBodies();
    if (this.#begun) return;
    this.#begun = true;
    for (let i = 0; i < this.#streams; i += 1) this.#meter.ready(this.#send);
  }
}
