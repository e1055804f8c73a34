import { afterEach, expect, test } from 'vitest';

import type { Exchange } from '#sidecar/exchange.ts';

import { eachHead, Rig, waitFor } from './rig.ts';
import type { RigOptions } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

async function start(
  upstream: Parameters<typeof Rig.start>[0],
  options?: RigOptions,
): Promise<Rig> {
  rig = await Rig.start(upstream, options);
  return rig;
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const answers = eachHead((_, socket) => socket.write(ok));

test('a head over headBytesMax is answered 431 and closed', async () => {
  await start(answers, { limits: { headBytesMax: 500 } });
  const text = await rig.exchange(`GET / HTTP/1.1\r\nx: ${'a'.repeat(500)}\r\n\r\n`);
  expect(text).toMatch(/^HTTP\/1.1 431 /);
  expect(text).toContain('connection: close');
  expect(rig.unheard[0]!.failure?.code).toBe('head-too-large');
});

test('more headers than headerCountMax are answered 431', async () => {
  await start(answers, { limits: { headerCountMax: 10 } });
  const text = await rig.exchange(`GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(11)}\r\n`);
  expect(text).toMatch(/^HTTP\/1.1 431 /);
});

test('a head that takes longer than headTimeoutMs is answered 408', async () => {
  await start(answers, { limits: { headTimeoutMs: 50 } });
  const client = rig.connect();
  client.send('GET / HT');
  await client.closed;
  expect(client.text).toMatch(/^HTTP\/1.1 408 /);
  expect(rig.unheard[0]!.failure?.code).toBe('request-timeout');
});

test('a connection that is idle for idleTimeoutMs is closed without a word', async () => {
  await start(answers, { limits: { idleTimeoutMs: 50 } });
  const fresh = rig.connect();
  const used = rig.connect();
  used.send(get);
  await Promise.all([fresh.closed, used.closed]);
  expect([fresh.text, fresh.reset, used.text]).toEqual(['', false, ok]);
});

test('an exchange without a byte for streamIdleTimeoutMs is answered 504, or 408 if the client stalls', async () => {
  await start((socket) => socket.resume(), { limits: { streamIdleTimeoutMs: 50 } });
  const waiting = rig.connect();
  waiting.send(get);
  await waiting.until('504 Gateway Timeout');
  const stalling = rig.connect();
  stalling.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx');
  await stalling.until('408 Request Timeout');
  await waitFor(() => rig.pool.connections === 0);
  const codes = rig.finished.map((x) => x.failure?.code);
  expect(codes).toEqual(['upstream-timeout', 'request-timeout']);
});

test('a connection ends after requestsPerConnectionMax requests, and says so', async () => {
  await start(answers, { limits: { requestsPerConnectionMax: 2 } });
  const text = await rig.exchange(get + get + get);
  expect(text.match(/HTTP\/1.1 200/g)).toHaveLength(2);
  expect(text.match(/connection: close/g)).toHaveLength(1);
});

test('a body over bodyBytesMax is answered 413, announced or chunked', async () => {
  let got = 0;
  await start((socket) => socket.on('data', (chunk: Buffer) => (got += chunk.length)), {
    limits: { bodyBytesMax: 10 },
  });
  const announced = await rig.exchange('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n');
  expect(announced).toMatch(/^HTTP\/1.1 413 /);
  expect(got).toBe(0);
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n');
  await waitFor(() => got > 0);
  client.send('2\r\nab\r\n0\r\n\r\n');
  await client.closed;
  expect(client.text).toMatch(/^HTTP\/1.1 413 /);
});

test('chunk extensions and trailers over their limits are malformed', async () => {
  await start((socket) => socket.resume(), {
    limits: { chunkExtensionBytesMax: 50, trailerBytesMax: 50 },
  });
  const head = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';
  const long = 'x'.repeat(60);
  expect(await rig.exchange(`${head}1;${long}\r\na\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /);
  expect(await rig.exchange(`${head}0\r\na: ${long}\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /);
});

test('an unwanted body that does not come within drainTimeoutMs ends the connection', async () => {
  await start(answers, {
    limits: { drainTimeoutMs: 50 },
    path: { start: (x) => x.stream.reply(403, '', '', false) },
  });
  const text = await rig.exchange('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab');
  expect(text).toBe('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
});

test('an announced body over drainBytesMax ends the connection after the answer', async () => {
  await start(answers, {
    limits: { drainBytesMax: 100 },
    path: { start: (x) => x.stream.reply(403, '', '', false) },
  });
  const text = await rig.exchange('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n');
  expect(text).toContain('connection: close');
});

test('a pool opens at most connectionsMax, the others wait in order', async () => {
  await start(
    eachHead((_, socket) => void setTimeout(() => socket.write(ok), 10)),
    { poolLimits: { connectionsMax: 2 } },
  );
  const clients = Array.from({ length: 6 }, () => rig.connect());
  for (const client of clients) client.send(get);
  await waitFor(() => rig.finished.length === 6);
  expect(rig.finished.every((x) => x.status === 200)).toBe(true);
  expect(rig.upstreamSockets.length).toBe(2);
});

test('requests over pendingMax, or that wait too long, are refused as overloaded', async () => {
  await start((socket) => socket.resume(), {
    poolLimits: { connectionsMax: 1, pendingMax: 1, connectTimeoutMs: 50 },
  });
  const served = rig.connect();
  served.send(get);
  await waitFor(() => rig.upstreamSockets.length === 1);
  const clients = [rig.connect(), rig.connect()];
  for (const client of clients) client.send(get);
  await Promise.all(clients.map((client) => client.until('503 Service Unavailable')));
  expect(rig.finished.map((x) => x.failure?.code)).toEqual(['overloaded', 'overloaded']);
});

test('a client that gives up while it waits for a connection leaves the queue', async () => {
  await start(
    eachHead((_, socket) => void setTimeout(() => socket.write(ok), 30)),
    { poolLimits: { connectionsMax: 1 } },
  );
  const first = rig.connect();
  first.send(get);
  await waitFor(() => rig.upstreamSockets.length === 1);
  const leaving = rig.connect();
  leaving.send(get);
  await waitFor(() => rig.server.connections === 2);
  await new Promise((resolve) => setTimeout(resolve, 5));
  leaving.socket.destroy();
  const last = rig.connect();
  last.send(get);
  await last.until('ok');
  expect(rig.finished.map((x) => x.failure?.code ?? x.status)).toEqual([
    'downstream-gone',
    200,
    200,
  ]);
});

test('upstream connections close after idleTimeoutMs, or sooner if the upstream says so', async () => {
  let keepAlive = '';
  await start(
    eachHead((_, socket) => socket.write(ok.replace('\r\n\r\n', `\r\n${keepAlive}\r\n`))),
    { poolLimits: { idleTimeoutMs: 100 } },
  );
  const client = rig.connect();
  client.send(get);
  await waitFor(() => rig.finished.length === 1);
  expect(rig.pool.connections).toBe(1);
  await waitFor(() => rig.pool.connections === 0, undefined, 2_000);
  await rig.stop();
  keepAlive = 'keep-alive: timeout=1\r\n';
  await start(
    eachHead((_, socket) => socket.write(ok.replace('\r\n\r\n', `\r\n${keepAlive}\r\n`))),
  );
  rig.connect().send(get);
  await waitFor(() => rig.finished.length === 1);
  await waitFor(() => rig.pool.connections === 0, undefined, 2_000);
});

test('an upstream that refuses connections gives 503, and retry may name another pool', async () => {
  const good = await Rig.start(answers);
  const retried: string[] = [];
  await start(() => {}, {
    upstreamPort: 1,
    path: {
      retry: (x, failure) => {
        retried.push(failure.code);
        return x.request.path === '/again' ? good.pool : null;
      },
    },
  });
  const client = rig.connect();
  client.send(get);
  await client.until('503 Service Unavailable');
  client.send('POST /again HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab');
  await client.until('ok');
  expect(retried).toEqual(['upstream-connect', 'upstream-connect']);
  expect(rig.finished.map((x) => x.failure?.code ?? x.status)).toEqual(['upstream-connect', 200]);
  await good.stop();
});

test('drain lets the present exchange end, says close, and ends idle connections', async () => {
  await start(eachHead((_, socket) => void setTimeout(() => socket.write(ok), 30)));
  const busy = rig.connect();
  const idle = rig.connect();
  busy.send(get + get);
  await waitFor(() => rig.upstreamSockets.length === 1 && rig.server.connections === 2);
  rig.server.drain();
  await Promise.all([busy.closed, idle.closed]);
  expect(busy.text).toBe('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
  expect([idle.text, idle.reset]).toEqual(['', false]);
  await waitFor(() => rig.server.connections === 0);
});

test('a layer that still waits when its exchange times out cannot touch the next request', async () => {
  let late: (() => void) | null = null;
  const begun: string[] = [];
  await start(answers, {
    limits: { streamIdleTimeoutMs: 50 },
    path: {
      start: (x) => {
        begun.push(x.request.rawTarget);
        late ??= () => {
          x.request.append('x-user', 'ann');
          x.stream.forward(rig.pool);
        };
      },
    },
  });
  const client = rig.connect();
  client.send(get);
  await client.until('504 Gateway Timeout');
  client.send('GET /next HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.closed;
  late!();
  expect(client.text).toContain('connection: close');
  expect(begun).toEqual(['/']);
});

test('a connection that drains while a body is dropped ends with the body', async () => {
  const path = { start: (x: Exchange) => x.stream.reply(403, '', '', false) };
  await start(answers, { path });
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab');
  await client.until('403 Forbidden');
  rig.server.drain();
  client.send(`cd${get}`);
  await client.closed;
  expect(client.text.match(/HTTP/g)).toHaveLength(1);
  expect(client.reset).toBe(false);
});
