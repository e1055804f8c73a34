// Tunnels through forward proxies, as a DestinationRule's `tunnel` has it, through real sockets.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { readTunnelAnswer } from '#sidecar/upstream/tunnel.ts';

import { exchange, get, plain, Rig, serviceOf, type TestSidecar } from '../rig.ts';
import { bytesServer, dial, nextBytes, readWhole, serveMysql, mysql } from '../servers.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const proxyHost = 'proxy.shop.svc.cluster.local';
const vip = '10.96.0.9';

interface Asked {
  readonly url: string;
  readonly host: string;
}

/** A forward proxy of Node's own parser; it opens every tunnel to this port, whatever was asked. */
async function forwardProxy(target: number): Promise<{ port: number; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((_request, response) => response.end('not a tunnel'));
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    asked.push({ url: request.url ?? '', host: request.headers.host ?? '' });
    const to = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true }, () => {
      socket.write('HTTP/1.1 200 Connection established\r\nvia: 1.1 test\r\n\r\n');
      to.write(head);
      socket.pipe(to).pipe(socket);
    });
    for (const one of [socket, to]) one.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

function destination(policy: TrafficPolicy) {
  return [
    { host: proxyHost, source: 'DestinationRule shop/proxy', policy, ports: {}, subsets: [] },
  ];
}

function through(
  port: number,
  policy: TrafficPolicy = {},
  protocol: 'tcp' | 'http' = 'tcp',
): Promise<TestSidecar> {
  const tunnel = { method: 'CONNECT', host: 'db.example.com', port: 5432 } as const;
  const service = { ...serviceOf('proxy', [{ port }], protocol), addresses: [vip] };
  return rig.sidecar({
    account: 'web',
    services: [service],
    traffic: { destinations: destination({ tunnel, ...policy }) },
    originalDestination: () => ({ host: vip, port: 80 }),
  });
}

async function failed({ capturedPort, telemetry }: TestSidecar): Promise<string> {
  const socket = await dial(capturedPort);
  socket.write('hello');
  const { text, how } = await readWhole(socket);
  expect([text, how]).toEqual(['', 'ECONNRESET']);
  await expect.poll(() => telemetry.closed.length).toBe(1);
  return telemetry.closed[0]?.details ?? '';
}

/** A proxy that says this and no more. */
function saying(text: string): Promise<number> {
  return bytesServer(rig, (socket: Socket) => socket.once('data', () => socket.write(text)));
}

test('bytes go through the tunnel both ways, each connection asks for its own', async () => {
  const target = await bytesServer(rig, (socket) => socket.pipe(socket));
  const { port, asked } = await forwardProxy(target);
  const sidecar = await through(port);
  for (const text of ['one', 'two']) {
    const socket = await dial(sidecar.capturedPort);
    socket.end(text);
    expect(await readWhole(socket)).toMatchObject({ text });
  }
  const wanted = { url: 'db.example.com:5432', host: 'db.example.com:5432' };
  expect(asked).toEqual([wanted, wanted]);
});

test('a target that speaks first is heard, even in one piece with the answer of the proxy', async () => {
  const target = await bytesServer(rig, serveMysql);
  const { port } = await forwardProxy(target);
  const sidecar = await through(port);
  const socket = await dial(sidecar.capturedPort);
  expect(await nextBytes(socket)).toEqual(mysql.greeting);
  socket.destroy();
  const early = await saying('HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.0 200 OK\r\n\r\nready\n');
  const other = await dial((await through(early)).capturedPort);
  expect(String(await nextBytes(other))).toBe('ready\n');
  other.destroy();
});

test.each([
  ['HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n', 'the proxy answered 403'],
  ['SSH-2.0-OpenSSH\r\n\r\n', 'what the proxy answered is not HTTP/1.1'],
  ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 'the proxy answered 101'],
  [`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}`, 'more than 16384 bytes'],
])(
  'a connection whose tunnel is refused ends, and its log line says why: %#',
  async (answer, why) => {
    expect(await failed(await through(await saying(answer)))).toContain(why);
  },
);

test('a proxy that leaves, or says nothing in time', async () => {
  const leaving = await bytesServer(rig, (socket) => socket.once('data', () => socket.end()));
  expect(await failed(await through(leaving))).toContain('the proxy closed the connection');
  const silent = await through(await saying(''), { pool: { connectTimeoutMs: 60 } });
  expect(await failed(silent)).toContain('did not answer in time');
});

test('requests of HTTP go to the proxy as they are, and a rule that goes ends tunnels for what follows', async () => {
  const { port, asked } = await forwardProxy(1);
  const http = await through(port, {}, 'http');
  expect((await exchange(await plain(http.capturedPort), get('/'))).body).toContain('not a tunnel');
  expect(asked).toEqual([]);
  const echo = await bytesServer(rig, (socket) => socket.pipe(socket));
  const sidecar = await through(echo);
  sidecar.apply({ traffic: { destinations: [] } });
  const socket = await dial(sidecar.capturedPort);
  socket.end('plain');
  expect(await readWhole(socket)).toMatchObject({ text: 'plain' });
});

test('an answer is read alike in whatever pieces it comes, and any bytes are read without a fault', () => {
  const head = fc.constantFrom('HTTP/1.1 200 OK\r\n', 'HTTP/1.1 100 \r\n\r\nHTTP/1.1 204\r\n');
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 40 }), (start, rest) => {
      const opening = Buffer.from(`${start}a: b\r\n\r\n`);
      const whole = Buffer.concat([opening, rest]);
      for (let at = 0; at < opening.length; at += 1) {
        expect(readTunnelAnswer(whole.subarray(0, at))).toEqual({ kind: 'more' });
      }
      expect(readTunnelAnswer(whole)).toMatchObject({ kind: 'open', rest: Buffer.from(rest) });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(readTunnelAnswer(Buffer.from(bytes)).kind).not.toBe('open');
    }),
  );
});
