// An engine between clients and upstreams of either version on loopback sockets, and a client that writes frames by hand.
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import type { Exchange, RequestPath } from '#sidecar/exchange.ts';
import { http1Limits, http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import type { Http1Limits, Http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { HttpPool } from '#sidecar/wire/http-pool.ts';
import { HttpServer, type HttpConnection } from '#sidecar/wire/http-server.ts';
import { flag, frame, PREFACE } from '#sidecar/wire/http2/frames.ts';
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import type { Http2Limits } from '#sidecar/wire/http2/limits.ts';
import { downstreamOf, waitFor } from '#test/sidecar/wire/http1/rig.ts';

export interface Http2RigOptions {
  /** Where the upstream listens. */
  upstreamPort: number;
  upstream: 'http1' | 'http2';
  http1?: Partial<Http1Limits>;
  http2?: Partial<Http2Limits>;
  /** Of connections to the upstream. */
  pool?: Partial<Http2Limits>;
  pool1?: Partial<Http1PoolLimits>;
  path?: Partial<RequestPath>;
  declaredHttp2?: boolean;
}

export class Http2Rig {
  /** Exchanges in the order of their ends. */
  readonly finished: Exchange[] = [];
  readonly unheard: Exchange[] = [];
  readonly connections: HttpConnection[] = [];
  readonly pool: HttpPool;
  readonly port: number;
  /** Connections that the pool opened. */
  opened = 0;
  private readonly listener: net.Server;
  private readonly sockets = new Set<Socket>();

  private constructor(options: Http2RigOptions, listener: net.Server) {
    const { upstreamPort, upstream } = options;
    const connect = (onread?: net.OnReadOpts): Socket => {
      this.opened++;
      const target = { host: '127.0.0.1', port: upstreamPort, noDelay: true };
      const socket = net.connect({ ...target, ...(onread !== undefined && { onread }) });
      this.sockets.add(socket);
      return socket;
    };
    this.pool = new HttpPool({
      address: `127.0.0.1:${upstreamPort}`,
      connectHttp1: connect,
      connectHttp2: connect,
      http1: { ...http1PoolLimits, ...options.pool1 },
      http2: { ...http2Limits, ...options.pool },
    });
    const server = new HttpServer({
      http1: { ...http1Limits, ...options.http1 },
      http2: { ...http2Limits, ...options.http2 },
      path: {
        start: (x) => x.stream.forward(upstream === 'http2' ? this.pool : this.pool.http1),
        respond: () => {},
        finish: (x) => void this.finished.push(x),
        unheard: (x) => void this.unheard.push(x),
        ...options.path,
      },
    });
    this.listener = listener;
    this.port = (listener.address() as AddressInfo).port;
    listener.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      const declared = options.declaredHttp2 ?? false;
      this.connections.push(server.accept(socket, downstreamOf(socket), null, '', declared));
    });
  }

  static async start(options: Http2RigOptions): Promise<Http2Rig> {
    const listener = net.createServer({ noDelay: true, allowHalfOpen: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new Http2Rig(options, listener);
  }

  async stop(): Promise<void> {
    this.pool.close();
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frameOf(
  type: number,
  flags: number,
  id: number,
  payload: Buffer | string = '',
): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settingBytes(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

/** Fields as they are, without any index or check: what a hostile peer may send. */
export function literal(fields: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    parts.push(Buffer.from([0]), length(name.length), Buffer.from(name, 'latin1'));
    parts.push(length(value.length), Buffer.from(value, 'latin1'));
  }
  return Buffer.concat(parts);
}

function length(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

export const get: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];

export function post(...more: (readonly [string, string])[]): (readonly [string, string])[] {
  return [[':method', 'POST'], ...get.slice(1), ...more];
}

/** A peer of frames written by hand; `server` it is the one that accepted. */
export class RawPeer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;
  gone = false;
  readonly encoder = new HpackEncoder(0);
  private readonly decoder = new HpackDecoder();
  private rest: Buffer = Buffer.alloc(0);
  private prefaceLeft = 0;
  private readonly serving = new Map<number, () => void>();

  constructor(socket: Socket, server = false) {
    this.socket = socket;
    if (server) this.prefaceLeft = PREFACE.length;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.gone = true;
        resolve();
      });
      socket.on('end', () => socket.end());
    });
  }

  /** Connects and sends preface and SETTINGS. */
  static async connect(port: number, settings: Buffer = Buffer.alloc(0)): Promise<RawPeer> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    const peer = new RawPeer(socket);
    peer.send(PREFACE, frameOf(frame.settings, 0, 0, settings));
    return peer;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  headers(id: number, fields: readonly (readonly [string, string])[], end = true): void {
    const flags = flag.endHeaders | (end ? flag.endStream : 0);
    this.send(frameOf(frame.headers, flags, id, literal(fields)));
  }

  data(id: number, payload: Buffer | string, end = false): void {
    this.send(frameOf(frame.data, end ? flag.endStream : 0, id, payload));
  }

  of(type: number, id?: number): Frame[] {
    return this.frames.filter((one) => one.type === type && (id === undefined || one.id === id));
  }

  async until(condition: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
    await waitFor(condition, () => `${what}; had ${this.describe()}`, timeoutMs);
  }

  /** The code of GOAWAY, once it has come. */
  async goaway(): Promise<number> {
    await this.until(() => this.of(frame.goaway).length > 0, 'no GOAWAY');
    return this.of(frame.goaway).at(-1)!.payload.readUInt32BE(4);
  }

  /** The code of RST_STREAM on a stream, once it has come. */
  async reset(id: number): Promise<number> {
    await this.until(() => this.of(frame.rstStream, id).length > 0, `no RST_STREAM on ${id}`);
    return this.of(frame.rstStream, id)[0]!.payload.readUInt32BE(0);
  }

  /** Fields of the header blocks on a stream so far, in order. */
  readonly heads = new Map<number, Record<string, string>[]>();

  async head(id: number, at = 0): Promise<Record<string, string>> {
    await this.until(() => (this.heads.get(id)?.length ?? 0) > at, `no head ${at} on ${id}`);
    return this.heads.get(id)![at]!;
  }

  /** The stream's content, once it has ended. */
  async body(id: number): Promise<string> {
    await this.until(
      () => this.frames.some((one) => one.id === id && one.type <= 1 && (one.flags & 1) !== 0),
      `stream ${id} does not end`,
    );
    return Buffer.concat(this.of(frame.data, id).map((one) => one.payload)).toString('latin1');
  }

  /** Calls `serve` when the first head comes on a stream. */
  onHead(id: number, serve: () => void): void {
    this.serving.set(id, serve);
  }

  private describe(): string {
    return this.frames
      .slice(-12)
      .map((one) => `${one.type}:${one.id}:${one.payload.toString('latin1').slice(0, 40)}`)
      .join(' | ');
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    if (this.prefaceLeft > 0 && this.rest.length >= this.prefaceLeft) {
      this.rest = this.rest.subarray(this.prefaceLeft);
      this.prefaceLeft = 0;
    }
    while (this.prefaceLeft === 0 && this.rest.length >= 9) {
      const size = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + size) return;
      const id = this.rest.readUInt32BE(5) & 0x7fff_ffff;
      const payload = Buffer.from(this.rest.subarray(9, 9 + size));
      const one = { type: this.rest[3]!, flags: this.rest[4]!, id, payload };
      this.rest = this.rest.subarray(9 + size);
      this.frames.push(one);
      if (one.type === frame.headers) this.decode(one);
    }
  }

  private decode({ id, payload }: Frame): void {
    const fields: Record<string, string> = {};
    this.decoder.decode(payload, 0, payload.length, {
      field: (names, nameFrom, nameTo, values, valueFrom, valueTo) => {
        const name = names.toString('latin1', nameFrom, nameTo);
        const value = values.toString('latin1', valueFrom, valueTo);
        fields[name] = name in fields ? `${fields[name]}\n${value}` : value;
      },
    });
    this.heads.set(id, [...(this.heads.get(id) ?? []), fields]);
    const serve = this.serving.get(id);
    this.serving.delete(id);
    serve?.();
  }
}

/** A raw server that gives each connection to `serve`. */
export async function rawServer(
  serve: (peer: RawPeer) => void,
): Promise<{ port: number; peers: RawPeer[]; stop: () => Promise<void> }> {
  const peers: RawPeer[] = [];
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const peer = new RawPeer(socket, true);
    peers.push(peer);
    peer.send(frameOf(frame.settings, 0, 0));
    serve(peer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async (): Promise<void> => {
    for (const { socket } of peers) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, peers, stop };
}
