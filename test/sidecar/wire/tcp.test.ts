import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { relay, type Relay, type RelayCounters, type RelayEnd } from '#sidecar/wire/tcp.ts';

interface Rig {
  client: Socket;
  server: Socket;
  upstream: Socket;
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
  return { client, server, upstream, counters, relay: started, end: promise };
}

async function waitUntil(check: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !check(); i += 1) await new Promise((done) => setTimeout(done, 2));
  expect(check()).toBe(true);
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

/** How a socket ends for its reader. */
async function endOf(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('end', () => resolve('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  socket.resume();
  return promise;
}

test('a reset of one side resets the other', async () => {
  const r = await rig();
  r.client.write('x');
  await once(r.server, 'data');
  const end = endOf(r.server);
  r.client.resetAndDestroy();
  expect(await end).toBe('ECONNRESET');
  expect(await r.end).toBe('downstream-failed');
});

test('what came before a reset is delivered before it', async () => {
  const r = await rig();
  const chunk = Buffer.alloc(256 * 1024, 7);
  let written = 0;
  while (r.server.write(chunk)) written += chunk.length;
  written += chunk.length;
  await once(r.server, 'drain').catch(() => []);
  let got = 0;
  r.client.on('data', (bytes: Buffer) => (got += bytes.length));
  const end = endOf(r.client);
  await waitUntil(() => r.counters.sentBytes === written);
  r.server.resetAndDestroy();
  expect(await end).toBe('ECONNRESET');
  expect(got).toBeGreaterThan(0);
  expect(await r.end).toBe('upstream-failed');
});

test('an answer that ended is whole although its sender resets afterwards', async () => {
  const r = await rig();
  const answer = readAll(r.client);
  r.server.end('answer');
  await waitUntil(() => r.client.readableEnded);
  r.server.resetAndDestroy();
  expect(await answer).toBe('answer');
  const closed = once(r.client, 'close');
  // Nobody hears of a reset before the next byte goes to its sender.
  r.client.on('error', () => {}).write('more');
  expect(await r.end).toBe('upstream-failed');
  r.client.end();
  await closed;
});

test('a side that closes before it has ended resets the other', async () => {
  const r = await rig();
  const end = endOf(r.client);
  r.upstream.destroy();
  expect(await end).toBe('ECONNRESET');
});

test('closing the relay resets both sides at once', async () => {
  const r = await rig();
  const ends = [endOf(r.client), endOf(r.server)];
  r.relay.close();
  expect(await Promise.all(ends)).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(await r.end).toBe('closed');
});

test('bytes that were read before go first, although their sender has ended since', async () => {
  const [client, downstream] = await pair();
  const [upstream, server] = await pair();
  client.end('early');
  const head = String((await once(downstream, 'data'))[0]);
  if (!downstream.readableEnded) await once(downstream, 'end');
  const counters = { receivedBytes: 0, sentBytes: 0 };
  const { promise, resolve } = Promise.withResolvers<RelayEnd>();
  const options = { downstream, upstream, counters, idleTimeoutMs: 0, onEnd: resolve };
  relay({ ...options, head: Buffer.from(head) });
  expect(await readAll(server)).toBe('early');
  server.end('late');
  expect(await readAll(client)).toBe('late');
  expect(await promise).toBe('ended');
  expect(counters).toEqual({ receivedBytes: 5, sentBytes: 4 });
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
