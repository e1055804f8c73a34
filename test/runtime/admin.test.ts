// The admin endpoint: routes, refusals, limits.
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonReply, startAdmin, type Admin } from '#runtime/admin.ts';

let admin: Admin;

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
