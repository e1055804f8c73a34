import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { headerBlocks, isStatus200 } from './hpack.ts';
import { flags, frame, frames } from './http2-frames.ts';

const fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/api/v1/1024'],
  [':authority', 'server.bench:8080'],
  ['accept', 'application/json'],
] as const;

test('a server reads the same fields from all three forms', async () => {
  const seen: unknown[] = [];
  const server = createServer();
  const over = Promise.withResolvers<void>();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    seen.push(fields.map(([name]) => headers[name]));
    stream.respond();
    stream.end();
    if (seen.length === 4) over.resolve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { first, next, plain } = headerBlocks(fields);
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(frames.settings, 0, 0, Buffer.alloc(0)));
  for (const [i, block] of [first, next, next, plain].entries()) {
    socket.write(frame(frames.headers, flags.endHeaders | flags.endStream, 2 * i + 1, block));
  }
  await over.promise;
  socket.destroy();
  server.close();
  expect(seen).toEqual(Array.from({ length: 4 }, () => fields.map(([, value]) => value)));
});

test('a status of 200 is seen behind changes of the table', () => {
  expect(isStatus200(Buffer.of(0x88))).toBe(true);
  expect(isStatus200(Buffer.of(0x20, 0x88))).toBe(true);
  expect(isStatus200(Buffer.of(0x3f, 0xe1, 0x1f, 0x88))).toBe(true);
  expect(isStatus200(Buffer.of(0x8d))).toBe(false);
  expect(isStatus200(Buffer.alloc(0))).toBe(false);
});
