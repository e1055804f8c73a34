// Serves and calls within a network namespace, on behalf of a test outside it.
import { createServer as createHttpServer } from 'node:http';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Order =
  | { readonly kind: 'http' | 'greeting' | 'echo'; readonly host: string; readonly port: number }
  | { readonly kind: 'udp'; readonly host: string; readonly port: number }
  /** A name server: addresses by name; any other name is none. By UDP longer answers than one address are cut short. */
  | {
      readonly kind: 'names';
      readonly host: string;
      readonly port: number;
      readonly addresses: Readonly<Record<string, readonly string[]>>;
    }
  /** By the C library, as most programs do. */
  | { readonly kind: 'lookup'; readonly name: string }
  | {
      readonly kind: 'call' | 'call-udp';
      readonly host: string;
      readonly port: number;
      readonly send: string;
    };

export interface Answer {
  readonly text: string;
  readonly how: 'end' | 'reset' | 'refused' | 'timeout' | '';
}

const timeoutMs = 4000;

process.on('message', (message: { id: number; order: Order }) => {
  const { id, order } = message;
  void obey(order).then((answer) => process.send?.({ id, answer }));
});

function obey(order: Order): Promise<Answer> {
  switch (order.kind) {
    case 'call':
      return call(order.host, order.port, order.send);
    case 'call-udp':
      return callUdp(order.host, order.port, order.send);
    case 'udp':
      return serveUdp(order.host, order.port);
    case 'names':
      return serveNames(order.host, order.port, order.addresses);
    case 'lookup':
      return lookUp(order.name);
    default:
      return serve(serverOf(order.kind), order.host, order.port);
  }
}

function serverOf(kind: 'http' | 'greeting' | 'echo'): Server {
  if (kind === 'http') {
    return createHttpServer((request, response) => {
      const { remoteAddress, localAddress } = request.socket;
      const status = request.url === '/teapot' ? 418 : 200;
      response.writeHead(status, { connection: 'close' });
      response.end(JSON.stringify({ remoteAddress, localAddress, headers: request.headers }));
    });
  }
  return createServer((socket) => {
    socket.on('error', () => undefined);
    if (kind === 'greeting') socket.end(`hello ${socket.remoteAddress ?? ''}\n`);
    else socket.pipe(socket);
  });
}

function serve(server: Server, host: string, port: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  server.once('error', reject);
  server.listen(port, host, () => resolve({ text: '', how: '' }));
  return promise;
}

function serveUdp(host: string, port: number): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (bytes, peer) => {
    socket.send(`${peer.address} said ${String(bytes)}`, peer.port, peer.address);
  });
  socket.bind(port, host, () => resolve({ text: '', how: '' }));
  return promise;
}

async function serveNames(
  host: string,
  port: number,
  addresses: Readonly<Record<string, readonly string[]>>,
): Promise<Answer> {
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    socket.send(answerOf(query, addresses, true), peer.port, peer.address);
  });
  const server = createServer((connection) => {
    connection.on('error', () => undefined);
    connection.once('data', (bytes: Buffer) => {
      const answer = answerOf(bytes.subarray(2), addresses, false);
      connection.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length]), answer]));
    });
  });
  await new Promise<void>((resolve) => socket.bind(port, host, resolve));
  return serve(server, host, port);
}

function answerOf(
  query: Buffer,
  addresses: Readonly<Record<string, readonly string[]>>,
  byUdp: boolean,
): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (; query[at] !== 0; at += 1 + (query[at] ?? 0)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)));
  }
  const known = addresses[labels.join('.').toLowerCase()];
  const all = query.readUInt16BE(at + 1) === 1 ? (known ?? []) : [];
  const cut = byUdp && all.length > 1;
  const head = Buffer.from(query.subarray(0, at + 5));
  head.writeUInt16BE(0x8180 | (known === undefined ? 3 : 0) | (cut ? 0x200 : 0), 2);
  head.writeUInt16BE(cut ? 0 : all.length, 6);
  head.writeUInt32BE(0, 8);
  const records = (cut ? [] : all).map((ip) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...ip.split('.').map(Number)]),
  );
  return Buffer.concat([head, ...records]);
}

async function lookUp(name: string): Promise<Answer> {
  try {
    const found = await lookup(name, { all: true });
    return { text: found.map(({ address }) => address).join(' '), how: '' };
  } catch (error) {
    return { text: error instanceof Error ? error.message : '', how: 'refused' };
  }
}

function call(host: string, port: number, send: string): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const socket: Socket = connect({ host, port, allowHalfOpen: true });
  let text = '';
  const done = (how: Answer['how']): void => {
    resolve({ text, how });
    socket.destroy();
  };
  socket.setTimeout(timeoutMs, () => done('timeout'));
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    if (text === send) done('end');
  });
  socket.on('end', () => done('end'));
  socket.on('error', (error: NodeJS.ErrnoException) =>
    done(error.code === 'ECONNREFUSED' ? 'refused' : 'reset'),
  );
  socket.on('close', () => done('reset'));
  if (send !== '') socket.write(send, 'latin1');
  return promise;
}

function callUdp(host: string, port: number, send: string): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const done = (text: string, how: Answer['how']): void => {
    clearTimeout(timer);
    resolve({ text, how });
    socket.close();
  };
  const timer = setTimeout(() => done('', 'timeout'), timeoutMs);
  socket.on('message', (bytes) => done(String(bytes), 'end'));
  socket.send(send, port, host);
  return promise;
}
