// A raw upstream, an engine and a raw client on loopback sockets, for tests of the wire.
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, OnReadOpts, Socket } from 'node:net';

import type { Downstream, Exchange, RequestPath } from '#sidecar/exchange.ts';
import { http1Limits, http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import type { Http1Limits, Http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { Http1Pool } from '#sidecar/wire/http1/pool.ts';
import { Http1Server } from '#sidecar/wire/http1/server.ts';

export function downstreamOf(socket: Socket): Downstream {
  return {
    facts: {
      mtls: false,
      identities: [],
      sourceIp: '127.0.0.1',
      destinationIp: '127.0.0.1',
      destinationPort: 80,
      sni: '',
    },
    direction: 'inbound',
    remoteAddress: '127.0.0.1',
    remotePort: socket.remotePort ?? 0,
    localAddress: '127.0.0.1',
    localPort: 0,
    forwardedClientCert: '',
    telemetry: null,
  };
}

export interface RigOptions {
  limits?: Partial<Http1Limits>;
  poolLimits?: Partial<Http1PoolLimits>;
  path?: Partial<RequestPath>;
  /** Makes upstream sockets without `onread`, as a listener might. */
  plainRead?: boolean;
  /** In place of the raw upstream. */
  upstreamPort?: number;
}

export class Rig {
  /** Exchanges in the order of their ends. */
  readonly finished: Exchange[] = [];
  readonly unheard: Exchange[] = [];
  readonly upstreamSockets: Socket[] = [];
  readonly clients: Client[] = [];
  /** The engine's own, downstream and upstream. */
  readonly engineSockets: Socket[] = [];
  server!: Http1Server;
  pool!: Http1Pool;
  port = 0;
  private readonly listeners: net.Server[] = [];

  /** @param upstream serves each connection */
  static async start(upstream: (socket: Socket) => void, options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig();
    const upstreamPort =
      options.upstreamPort ??
      (await rig.listen((socket) => {
        rig.upstreamSockets.push(socket);
        socket.on('error', () => {});
        upstream(socket);
      }));
    rig.pool = new Http1Pool({
      address: `127.0.0.1:${upstreamPort}`,
      connect: (onread: OnReadOpts) => {
        const socket = net.connect({
          host: '127.0.0.1',
          port: upstreamPort,
          noDelay: true,
          ...(options.plainRead ? {} : { onread }),
        });
        rig.engineSockets.push(socket);
        return socket;
      },
      limits: { ...http1PoolLimits, ...options.poolLimits },
    });
    const path: RequestPath = {
      start: (x) => x.stream.forward(rig.pool),
      respond: () => {},
      finish: (x) => void rig.finished.push(x),
      unheard: (x) => void rig.unheard.push(x),
      ...options.path,
    };
    rig.server = new Http1Server({ limits: { ...http1Limits, ...options.limits }, path });
    rig.port = await rig.listen((socket) => {
      rig.engineSockets.push(socket);
      rig.server.accept(socket, downstreamOf(socket), null);
    });
    return rig;
  }

  /** Bytes that the engine's sockets hold now. */
  get heldBytes(): number {
    return this.engineSockets.reduce((sum, s) => sum + s.readableLength + s.writableLength, 0);
  }

  connect(): Client {
    const client = new Client(this.port);
    this.clients.push(client);
    return client;
  }

  /** Sends all at once on a new connection, waits for its end. */
  async exchange(request: string | Buffer): Promise<string> {
    const client = this.connect();
    client.send(request);
    await client.closed;
    return client.text;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.socket.destroy();
    for (const socket of this.upstreamSockets) socket.destroy();
    this.pool.close();
    await Promise.all(this.listeners.map((one) => new Promise((done) => one.close(done))));
  }

  private async listen(serve: (socket: Socket) => void): Promise<number> {
    const server = net.createServer({ noDelay: true }, serve);
    this.listeners.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
}

/** A client that writes bytes and collects what comes. */
export class Client {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  text = '';
  bytes = 0;
  reset = false;
  ended = false;

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.text.length < 1_000_000) this.text += chunk.toString('latin1');
    });
    this.socket.on('error', () => {
      this.reset = true;
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.socket.end();
    });
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()));
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Waits until what came holds `part`. */
  async until(part: string): Promise<string> {
    await waitFor(
      () => this.text.includes(part),
      () => `no ${part} in ${this.text}`,
    );
    return this.text;
  }
}

export async function waitFor(
  condition: () => boolean,
  describe: () => string = () => 'condition not met',
  timeoutMs = 5_000,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(describe());
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Calls `serve` with each whole request without a body; for a keep-alive upstream. */
export function eachHead(serve: (head: string, socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        serve(head, socket);
      }
    });
  };
}
