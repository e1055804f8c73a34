import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { relay, type Relay, type RelayCounters, type RelayEnd } from '#sidecar/wire/tcp.ts';

interface Rig {
  client: Socket;
  server: Socket;
  counters: RelayCounters;
  relay: Relay;
  end: Promise<RelayEnd>;
}

const open: { close?: () => unknown; destroy?: () => unknown }[] = [];

afterEach(() => {
  for (const item of open.splice(0)) {
    item.destroy?.();
    item.close?.();
  }
});

async function listen(): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port };
}

async function pair(): Promise<[Socket, Socket]> {
  const { server, port } = await listen();
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  open.push(client, accepted);
  return [client, accepted];
}

async function rig(idleTimeoutMs = 0): Promise<Rig> {
  const [client, downstream] = await pair();
  const [upstream, server] = await pair();
  const counters = { receivedBytes: 0, sentBytes: 0 };
  const { promise, resolve } = Promise.withResolvers<RelayEnd>();
  client.on('error', () => {});
  server.on('error', () => {});
  const started = relay({ downstream, upstream, counters, idleTimeoutMs, onEnd: resolve });
  return { client, server, counters, relay: started, end: promise };
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += String(bytes)));
  await once(socket, 'end');
  return text;
}

test('bytes pass both ways and are counted', async () => {
  const r = await rig();
  r.client.write('ping');
  expect(String((await once(r.server, 'data'))[0])).toBe('ping');
  r.server.write('pong!');
  expect(String((await once(r.client, 'data'))[0])).toBe('pong!');
  expect(r.counters).toEqual({ receivedBytes: 4, sentBytes: 5 });
});

test('a side that has finished sending still receives', async () => {
  const r = await rig();
  r.client.end('question');
  expect(await readAll(r.server)).toBe('question');
  r.server.write('late ');
  r.server.end('answer');
  expect(await readAll(r.client)).toBe('late answer');
  expect(await r.end).toBe('ended');
});

test('a reset of one side closes the other', async () => {
  const r = await rig();
  r.client.write('x');
  await once(r.server, 'data');
  const closed = once(r.server, 'end');
  r.client.resetAndDestroy();
  await closed;
  expect(await r.end).toBe('downstream-failed');
});

test('closing the relay closes both sides at once', async () => {
  const r = await rig();
  const closed = [once(r.client.resume(), 'end'), once(r.server.resume(), 'end')];
  r.relay.close();
  await Promise.all(closed);
  expect(await r.end).toBe('closed');
});

test('silence for longer than the idle timeout closes both sides', async () => {
  const r = await rig(60);
  r.client.resume();
  const ended = once(r.client, 'end');
  expect(await r.end).toBe('idle');
  await ended;
});

test('a slow reader holds the sender back, and every byte arrives', async () => {
  const r = await rig();
  const total = 16 * 1024 * 1024;
  const chunk = Buffer.alloc(256 * 1024, 7);
  let written = 0;
  let accepted = true;
  while (accepted && written < total) {
    accepted = r.client.write(chunk);
    written += chunk.length;
  }
  await new Promise((done) => setTimeout(done, 100));
  expect(r.counters.receivedBytes).toBeLessThan(total);
  let got = 0;
  r.server.on('data', (bytes: Buffer) => (got += bytes.length));
  for (; written < total; written += chunk.length) r.client.write(chunk);
  r.client.end();
  await once(r.server, 'end');
  expect(got).toBe(total);
});
