// Tunnels that a DestinationRule asks for by POST, through real sockets.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { framingOf } from '#sidecar/upstream/tunnel.ts';

import { Rig, serviceOf, type TestSidecar } from '../rig.ts';
import { bytesServer, dial, nextBytes, readWhole } from '../servers.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** A proxy of Node's own parser. */
async function proxy(
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  return (server.address() as AddressInfo).port;
}

function through(port: number, more: TrafficPolicy = {}): Promise<TestSidecar> {
  const tunnel = { method: 'POST', host: 'db.example.com', port: 5432 } as const;
  const [host, vip] = ['proxy.shop.svc.cluster.local', '10.96.0.9'];
  const source = 'DestinationRule shop/proxy';
  const service = { ...serviceOf('proxy', [{ port }], 'tcp'), addresses: [vip] };
  return rig.sidecar({
    account: 'web',
    services: [service],
    traffic: {
      destinations: [{ host, source, policy: { tunnel, ...more }, ports: {}, subsets: [] }],
    },
    originalDestination: () => ({ host: vip, port: 80 }),
  });
}

/** What is written as soon as the head of the request is there. */
function saying(text: string, then: (socket: Socket) => void = () => undefined): Promise<number> {
  return bytesServer(rig, (socket) =>
    socket.once('data', () => {
      socket.write(text);
      then(socket);
    }),
  );
}

const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';

test('bytes go both ways as bodies, and each side may end before the other', async () => {
  const asked: string[] = [];
  const port = await proxy((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.writeHead(200).flushHeaders();
    request.on('data', (bytes: Buffer) => response.write(`<${String(bytes)}>`));
    request.on('end', () => setTimeout(() => response.end('rest'), 20));
  });
  const sidecar = await through(port);
  const socket = await dial(sidecar.capturedPort);
  socket.write('one');
  expect(String(await nextBytes(socket))).toBe('<one>');
  socket.end('two');
  expect(await readWhole(socket)).toEqual({ text: '<two>rest', how: 'end' });
  expect(asked).toEqual(['POST / db.example.com:5432']);
});

test('the way to the proxy may be TLS', async () => {
  const { keyPem, certPem } = await rig.issued('spiffe://proxy');
  const server = createTlsServer({ key: keyPem, cert: certPem }, (request, response) => {
    response.writeHead(200).flushHeaders();
    request.pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sidecar = await through(port, { tls: { mode: 'simple', skipVerify: true } });
  const socket = await dial(sidecar.capturedPort);
  socket.write('one');
  expect(String(await nextBytes(socket))).toBe('one');
  socket.end('two');
  expect(await readWhole(socket)).toEqual({ text: 'two', how: 'end' });
});

test('a megabyte comes through whole, against a reader that is slow', async () => {
  const sent = Buffer.alloc(1_000_000, 'abcdefghijk');
  const port = await proxy((request, response) => {
    response.writeHead(200).flushHeaders();
    request.pipe(response);
  });
  const socket = await dial((await through(port)).capturedPort);
  socket.end(sent);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { text, how } = await readWhole(socket);
  expect(how).toBe('end');
  expect(text === sent.toString()).toBe(true);
});

test.each([
  ['chunks in one piece with the head', `${chunked}3\r\nabc\r\n0\r\n\r\n`],
  ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef'],
])('what the target says first, in %s', async (_, answer) => {
  const socket = await dial((await through(await saying(answer))).capturedPort);
  socket.end();
  expect(await readWhole(socket)).toEqual({ text: 'abc', how: 'end' });
});

test('without a length the answer ends with the connection', async () => {
  const port = await saying('HTTP/1.0 200 OK\r\n\r\nabc', (socket) => socket.end());
  const socket = await dial((await through(port)).capturedPort);
  socket.end();
  expect(await readWhole(socket)).toEqual({ text: 'abc', how: 'end' });
});

test.each([
  ['a chunk that is none', `${chunked}3\r\nabc\r\nxyz`],
  ['chunks without a last one', `${chunked}3\r\nabc\r\n`],
  ['a length that is not reached', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'],
])('an answer that is cut off never looks whole: %s', async (_, answer) => {
  const port = await saying(answer, (socket) => socket.end());
  const socket = await dial((await through(port)).capturedPort);
  socket.write('hello');
  expect(await readWhole(socket)).toMatchObject({ how: 'ECONNRESET' });
});

test('a client that resets never looks whole to the proxy', async () => {
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const port = await proxy((request, response) => {
    response.writeHead(200).flushHeaders();
    request.once('data', () => response.write('ok'));
    request.on('end', () => resolve('whole')).on('error', () => resolve('cut off'));
  });
  const socket = await dial((await through(port)).capturedPort);
  socket.write('hello');
  await nextBytes(socket);
  socket.resetAndDestroy();
  expect(await ended).toBe('cut off');
});

test.each([
  ['HTTP/1.1 403 Forbidden\r\n\r\n', 'the proxy answered 403'],
  ['HTTP/1.1 204 No Content\r\n\r\n', 'its answer has no body'],
  [
    'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n',
    'where its answer ends is not clear',
  ],
])('an answer that can carry no bytes: %#', async (answer, why) => {
  const { capturedPort, telemetry } = await through(await saying(answer));
  const socket = await dial(capturedPort);
  socket.write('hello');
  expect(await readWhole(socket)).toMatchObject({ text: '', how: 'ECONNRESET' });
  await expect.poll(() => telemetry.closed.length).toBe(1);
  expect(telemetry.closed[0]?.details).toContain(why);
});

test.each([
  ['transfer-encoding: gzip, chunked', false],
  ['transfer-encoding: chunked\r\nTransfer-Encoding: chunked', false],
  ['content-length: 1\r\ncontent-length: 1', false],
  ['content-length: -1', false],
  ['Content-Length:\t7 ', true],
  ['x-content-length: 7', true],
  ['TRANSFER-ENCODING: Chunked', true],
])('%j is clear: %s', (line, clear) => {
  expect(typeof framingOf(`HTTP/1.1 200 OK\r\na: b\r\n${line}`) !== 'string').toBe(clear);
});

test('any head is read without a fault', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const framing = framingOf(`HTTP/1.1 200 OK\r\n${text}`);
      expect(typeof framing === 'string' || framing.length >= -1).toBe(true);
    }),
  );
});
