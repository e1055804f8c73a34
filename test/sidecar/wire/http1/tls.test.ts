import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';

import { expect, test } from 'vitest';

import type { Exchange } from '#sidecar/exchange.ts';
import { http1Limits, http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { Http1Pool } from '#sidecar/wire/http1/pool.ts';
import { Http1Server } from '#sidecar/wire/http1/server.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { downstreamOf, waitFor } from './rig.ts';

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('the engine serves TLS and speaks TLS upstream, large bodies both ways', async () => {
  const { certPem: cert, keyPem: key, caPem: ca } = await issue(await makeTestCa(), { dns: ['a'] });
  const body = randomBytes(3_000_000);
  const upstream = tls.createServer({ cert, key }, (socket) => {
    const parts: Buffer[] = [];
    let size = 0;
    socket.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      size += chunk.length;
      const head = Buffer.concat(parts).indexOf('\r\n\r\n') + 4;
      if (size < head + body.length) return;
      const echoed = Buffer.concat(parts).subarray(head);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${echoed.length}\r\n\r\n`);
      socket.write(echoed);
    });
    socket.on('error', () => {});
  });
  const upstreamPort = await listen(upstream);
  const finished: Exchange[] = [];
  const pool = new Http1Pool({
    address: `127.0.0.1:${upstreamPort}`,
    connect: (onread) => {
      const options = { host: '127.0.0.1', port: upstreamPort, ca, servername: 'a', onread };
      return tls.connect(options);
    },
    limits: http1PoolLimits,
  });
  const engine = new Http1Server({
    limits: http1Limits,
    path: {
      start: (x) => x.stream.forward(pool),
      respond: () => {},
      finish: (x) => void finished.push(x),
    },
  });
  const server = tls.createServer({ cert, key }, (socket) => {
    engine.accept(socket, downstreamOf(socket), null);
  });
  const port = await listen(server);
  const client = tls.connect({ host: '127.0.0.1', port, ca, servername: 'a' });
  const got: Buffer[] = [];
  client.on('data', (chunk: Buffer) => got.push(chunk));
  client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`);
  client.write(body);
  await waitFor(
    () => finished.length === 1,
    () => 'no end',
    10_000,
  );
  const size = (): number => got.reduce((sum, chunk) => sum + chunk.length, 0);
  await waitFor(() => size() >= body.length + 40);
  const all = Buffer.concat(got);
  expect(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(body)).toBe(true);
  expect(finished[0]).toMatchObject({ status: 200, failure: null });
  expect(finished[0]!.request.scheme).toBe('https');
  client.destroy();
  pool.close();
  server.close();
  upstream.close();
});

test('an upstream whose handshake fails is told apart from one that is not there', async () => {
  const plain = net.createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.end('SSH-2.0-x\r\n');
  });
  const upstreamPort = await listen(plain);
  const finished: Exchange[] = [];
  const pool = new Http1Pool({
    address: '',
    connect: (onread) => {
      const options = { host: '127.0.0.1', port: upstreamPort, onread };
      return tls.connect(options);
    },
    limits: http1PoolLimits,
  });
  const engine = new Http1Server({
    limits: http1Limits,
    path: {
      start: (x) => x.stream.forward(pool),
      respond: () => {},
      finish: (x) => void finished.push(x),
    },
  });
  const server = net.createServer((socket) => {
    engine.accept(socket, downstreamOf(socket), Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  });
  const client = net.connect(await listen(server), '127.0.0.1');
  const [answer] = (await once(client, 'data')) as [Buffer];
  expect(answer.toString()).toContain('503 Service Unavailable');
  expect(finished[0]!.failure?.code).toBe('upstream-tls');
  client.destroy();
  server.close();
  plain.close();
});
