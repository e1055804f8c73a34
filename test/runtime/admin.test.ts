// The admin endpoint: routes, refusals, limits.
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { once } from 'node:events';
import { jsonReply, startAdmin, takesJson, type Admin } from '#runtime/admin.ts';

let admin: Admin;
/** What the stream's source is doing. */
const sources = { begun: 0, ended: 0, next: Promise.withResolvers<string>() };

async function* source(signal: AbortSignal): AsyncGenerator<string> {
  sources.begun += 1;
  const gone = once(signal, 'abort').then(() => '');
  try {
    while (!signal.aborted) {
      const piece = await Promise.race([sources.next.promise, gone]);
      sources.next = Promise.withResolvers<string>();
      if (piece === 'last\n') return;
      yield piece;
    }
  } finally {
    sources.ended += 1;
  }
}

async function* failing(): AsyncGenerator<string> {
  yield 'second\n';
  throw new Error('it broke');
}

beforeAll(async () => {
  admin = await startAdmin({
    port: 0,
    bodyBytesMax: 1000,
    routes: [
      { method: 'GET', path: '/ready', doc: 'is it ready', handler: () => ({ body: 'yes\n' }) },
      {
        method: 'POST',
        path: '/level',
        handler: (query, body) => jsonReply({ to: query.get('to'), body }),
      },
      {
        method: 'GET',
        path: '/broken',
        handler: () => Promise.reject(new Error('it broke')),
      },
      {
        method: 'GET',
        path: '/stream',
        handler: () => ({ type: 'application/x-ndjson', body: 'first\n', more: source }),
      },
      {
        method: 'GET',
        path: '/half',
        handler: () => ({ body: 'first\n', more: failing }),
      },
      { method: 'POST', path: '/json', handler: takesJson((value) => jsonReply({ value })) },
    ],
  });
});

afterAll(() => admin.close());

const call = (path: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${admin.port}${path}`, init);

test('a route answers, and GET / lists them all', async () => {
  const ready = await call('/ready');
  expect([ready.status, await ready.text()]).toEqual([200, 'yes\n']);
  const listed = await (await call('/')).text();
  expect(listed).toContain('GET  /ready   is it ready');
  expect(listed).toContain('POST /level');
});

test('a POST gets its query and body', async () => {
  const reply = await call('/level?to=debug', { method: 'POST', body: 'x' });
  expect(await reply.json()).toEqual({ to: 'debug', body: 'x' });
});

test('an unknown path is 404 with the list, a wrong method 405 with Allow', async () => {
  const missing = await call('/nothing');
  expect([missing.status, await missing.text()]).toEqual([
    404,
    expect.stringContaining('GET  /ready'),
  ]);
  const wrong = await call('/ready', { method: 'POST' });
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET']);
});

test('HEAD answers as GET without a body', async () => {
  const reply = await call('/ready', { method: 'HEAD' });
  expect([reply.status, reply.headers.get('content-length'), await reply.text()]).toEqual([
    200,
    '4',
    '',
  ]);
});

test('a body above the limit is 413', async () => {
  const reply = await call('/level', { method: 'POST', body: 'x'.repeat(1001) });
  expect(reply.status).toBe(413);
});

test('a handler that fails is 500 with its message, and the endpoint lives on', async () => {
  const reply = await call('/broken');
  expect([reply.status, await reply.text()]).toEqual([500, 'it broke\n']);
  expect((await call('/ready')).status).toBe(200);
});

test('a web page reaches it neither by its own name nor by a cross-origin POST', async () => {
  const rebound = await new Promise<number | undefined>((resolve, reject) => {
    request(
      { port: admin.port, host: '127.0.0.1', path: '/ready', headers: { host: 'evil.test:80' } },
      (reply) => {
        reply.resume();
        resolve(reply.statusCode);
      },
    )
      .on('error', reject)
      .end();
  });
  expect(rebound).toBe(403);
  const posted = await call('/level', { method: 'POST', headers: { origin: 'http://evil.test' } });
  expect(posted.status).toBe(403);
});

test('a port in use is reported to the caller', async () => {
  await expect(startAdmin({ port: admin.port, routes: [] })).rejects.toThrow('EADDRINUSE');
});

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value } = await reader.read();
  return value === undefined ? '' : new TextDecoder().decode(value);
}

test('a stream is told piece by piece, and ends with its source', async () => {
  const reply = await call('/stream');
  expect(reply.headers.get('content-type')).toBe('application/x-ndjson');
  const reader = reply.body!.getReader();
  expect(await readText(reader)).toBe('first\n');
  sources.next.resolve('second\n');
  expect(await readText(reader)).toBe('second\n');
  sources.next.resolve('last\n');
  expect((await reader.read()).done).toBe(true);
  expect(sources).toMatchObject({ begun: 1, ended: 1 });
});

test('a reader that goes ends the source; so does HEAD, and the end of the endpoint', async () => {
  const { ended } = sources;
  const away = new AbortController();
  const reader = (await call('/stream', { signal: away.signal })).body!.getReader();
  expect(await readText(reader)).toBe('first\n');
  away.abort();
  await expect.poll(() => sources.ended).toBe(ended + 1);
  expect((await call('/stream', { method: 'HEAD' })).status).toBe(200);
  await expect.poll(() => sources.ended).toBe(ended + 2);

  const other = await startAdmin({
    port: 0,
    routes: [{ method: 'GET', path: '/stream', handler: () => ({ body: 'x', more: source }) }],
  });
  const last = (await fetch(`http://127.0.0.1:${other.port}/stream`)).body!.getReader();
  expect(await readText(last)).toBe('x');
  await other.close();
  expect((await last.read()).done).toBe(true);
  expect(sources.ended).toBe(ended + 3);
});

test('a source that fails breaks the answer off', async () => {
  const reply = await call('/half');
  await expect(reply.text()).rejects.toThrow('terminated');
});

test('a body that is to be JSON is given as a value, or refused', async () => {
  const good = await call('/json', { method: 'POST', body: '{"a":1}' });
  expect(await good.json()).toEqual({ value: { a: 1 } });
  const bad = await call('/json', { method: 'POST', body: '{' });
  expect([bad.status, await bad.json()]).toEqual([
    400,
    { error: expect.stringContaining('the body is no JSON') },
  ]);
});
