// Raw calls: the bytes that were asked for, and an honest account of what came back.
import { createServer, type Server } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { send } from '#cli/up/send.ts';

let server: Server | null = null;
afterEach(() => server?.close());

/** Answers every connection with `reply` once a head has come; `seen` holds what was sent. */
async function answering(reply: string | null): Promise<{ port: number; seen: () => string }> {
  let seen = '';
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (reply === null) socket.resetAndDestroy();
      else if (seen.includes('\r\n\r\n')) socket.end(reply, 'latin1');
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : 0, seen: () => seen };
}

const call = { host: '127.0.0.1', method: 'GET', headers: [], timeoutMs: 2000 } as const;

test('an odd path goes out byte for byte', async () => {
  const { port, seen } = await answering('HTTP/1.1 204 No Content\r\n\r\n');
  await send({ ...call, port, target: '/a/../%2e\\b//\xe9', headers: [['host', 'x']] });
  expect(seen().split('\r\n')[0]).toBe('GET /a/../%2e\\b//\xe9 HTTP/1.1');
});

test('status, headers and a chunked body are read', async () => {
  const { port } = await answering(
    'HTTP/1.1 403 Forbidden\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nRBAC\r\n1\r\n!\r\n0\r\n\r\n',
  );
  const reply = await send({ ...call, port, target: '/' });
  expect(reply).toMatchObject({ status: 403, body: 'RBAC!', failure: '' });
  expect(reply.headers.get('x-a')).toBe('b');
  expect(reply.localPort).toBeGreaterThan(0);
});

test('a reset is told from an answer', async () => {
  const { port } = await answering(null);
  expect(await send({ ...call, port, target: '/' })).toMatchObject({ status: 0, failure: 'reset' });
});

test('nobody there is told as such', async () => {
  const { port } = await answering('');
  await new Promise<void>((resolve) => server?.close(() => resolve()));
  const reply = await send({ ...call, port, target: '/' });
  expect(reply).toMatchObject({ status: 0, failure: 'ECONNREFUSED', localPort: 0 });
});
