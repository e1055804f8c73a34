import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Exchange } from '#sidecar/exchange.ts';
import { code, flag, frame } from '#sidecar/wire/http2/frames.ts';
import { waitFor } from '#test/sidecar/wire/http1/rig.ts';

import type { Field } from './fields.ts';
import {
  frameOf,
  get,
  Http2Rig,
  literal,
  post,
  RawPeer,
  rawServer,
  type Http2RigOptions,
} from './rig.ts';

/** An upstream of HTTP/1.1 that keeps what it gets, as text. */
let server: net.Server;
let received = '';
const sockets: Socket[] = [];
let rig: Http2Rig;
let peer: RawPeer;

beforeEach(async () => {
  received = '';
  server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  peer.socket.destroy();
  await rig.stop();
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function start(options: Partial<Http2RigOptions> = {}): Promise<void> {
  const { port } = server.address() as AddressInfo;
  rig = await Http2Rig.start({
    upstreamPort: port,
    upstream: 'http1',
    declaredHttp2: true,
    ...options,
  });
  peer = await RawPeer.connect(rig.port);
}

const body = /\r\n\r\n([^]*)$/;
const headers = (id: number, fields: readonly Field[] = post(), flags = 0): Buffer =>
  frameOf(frame.headers, flags | flag.endHeaders, id, literal(fields));
const end = flag.endStream;

/** What the upstream has of the body once it is `expected` and was answered. */
async function upstreamBody(expected: string): Promise<string> {
  await waitFor(
    () => body.exec(received)?.[1] === expected,
    () => `not ${JSON.stringify(expected)} but ${JSON.stringify(received)}`,
  );
  for (const socket of sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  await peer.body(1);
  return body.exec(received)?.[1] ?? '';
}

test('a request that ends without a byte, before its upstream is connected, ends there too', async () => {
  await start();
  peer.send(headers(1), frameOf(frame.data, end, 1));
  const whole = '0\r\n\r\n';
  expect(await upstreamBody(whole)).toBe(whole);
});

test('its content and its end go once, in whatever frames they come', async () => {
  await start();
  peer.send(headers(1), frameOf(frame.data, 0, 1, 'ab'), frameOf(frame.data, end, 1));
  const whole = '2\r\nab\r\n0\r\n\r\n';
  expect(await upstreamBody(whole)).toBe(whole);
});

test('trailers that came before the upstream was connected go once', async () => {
  await start();
  peer.send(headers(1), headers(1, [['x-sum', '1']], end));
  const whole = '0\r\nx-sum: 1\r\n\r\n';
  expect(await upstreamBody(whole)).toBe(whole);
});

test('trailers that came before a layer had decided go once', async () => {
  const held: Exchange[] = [];
  await start({ path: { start: (x) => void held.push(x) } });
  peer.send(headers(1), frameOf(frame.data, 0, 1, 'ab'), headers(1, [['x-sum', '1']], end));
  peer.send(frameOf(frame.ping, 0, 0, 'abcdefgh'));
  await peer.until(() => peer.of(frame.ping).length > 0, 'no PING came back');
  held[0]!.stream.forward(rig.pool.http1);
  const whole = '2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n';
  expect(await upstreamBody(whole)).toBe(whole);
});

test('to an upstream of HTTP/2 they go once too', async () => {
  const upstream = await rawServer(() => {});
  const held: Exchange[] = [];
  await start({
    upstreamPort: upstream.port,
    upstream: 'http2',
    path: { start: (x) => void held.push(x) },
  });
  peer.send(headers(1), frameOf(frame.data, 0, 1, 'ab'), headers(1, [['x-sum', '1']], end));
  peer.send(frameOf(frame.ping, 0, 0, 'abcdefgh'));
  await peer.until(() => peer.of(frame.ping).length > 0, 'no PING came back');
  held[0]!.stream.forward(rig.pool);
  await waitFor(
    () => upstream.peers[0]?.frames.some(({ id, flags }) => id === 1 && (flags & 1) === 1) ?? false,
    () => 'the request does not end',
  );
  const [one] = upstream.peers;
  one!.headers(1, [[':status', '200']], true);
  expect((await peer.head(1))[':status']).toBe('200');
  const seen = one!.frames.filter(({ id }) => id === 1);
  expect(seen.map(({ type, flags }) => [type, flags & end])).toEqual([
    [frame.headers, 0],
    [frame.data, 0],
    [frame.headers, end],
  ]);
  await upstream.stop();
});

const websocket: readonly Field[] = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  ...get.slice(1),
];

test.each([
  ['DATA', frameOf(frame.data, end, 1)],
  ['trailers', headers(1, [['x', '1']], end)],
])('an end by %s of what wants a tunnel reaches it once it is open', async (_, ending) => {
  await start();
  peer.send(headers(1, websocket), frameOf(frame.data, 0, 1, 'hi'), ending);
  await waitFor(
    () => received.endsWith('\r\n\r\n'),
    () => received,
  );
  const ended = once(sockets[0]!, 'end');
  sockets[0]!.write(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
  await ended;
  expect(body.exec(received)?.[1]).toBe('hi');
});

test('a stream that depends on itself is reset when it is open, and an error when it is idle', async () => {
  await start();
  peer.send(headers(1));
  peer.send(frameOf(frame.priority, 0, 1, Buffer.from([0, 0, 0, 1, 0])));
  expect(await peer.reset(1)).toBe(code.protocol);
  peer.send(frameOf(frame.priority, 0, 1, Buffer.from([0, 0, 0, 1, 0])));
  peer.send(frameOf(frame.priority, 0, 3, Buffer.from([0, 0, 0, 3, 0])));
  expect(await peer.goaway()).toBe(code.protocol);
  expect(peer.of(frame.rstStream).length).toBe(1);
});
