import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import { assert, constantFrom, nat, oneof, property, string, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { readFirstBytes, readOpening } from '#sidecar/wire/first-bytes.ts';

function looksLike(text: string, detectHttp = true): string | null {
  const opening = readOpening(Buffer.from(text, 'latin1'), detectHttp);
  if (opening === null) return null;
  return opening.kind === 'plaintext' ? opening.looksLike : opening.kind;
}

test.each([
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['POST /a HTTP/1.', 'http1'],
  ['GET * HTTP/1.0', 'http1'],
  ['GET http://a/b HTTP/1.1', 'http1'],
  [`GET /${'a'.repeat(3000)}`, 'http1'],
  ['POST /a', null],
  ['GET ', null],
  ['GET htt', null],
  ['GET http:/', null],
  ['GET / HTTP', null],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ['GE', null],
  ['P', null],
  ['PR', null],
  ['PRI * HTTP/2.0\r\n\r\nSM', null],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\n', 'other'],
  ['PRI * HTTP/1.1\r\n', 'http1'],
  ['UNSUBSCRIBE', null],
  ['get / HTTP/1.1', 'http1'],
  ['FOO / HTTP/1.1', 'http1'],
  ['FOO / HTTP/2.0', 'other'],
  ['GET /\xe9 HTTP/1.1', 'other'],
  ['GET a HTTP/1.1', 'other'],
  ['GET /\r\n', 'other'],
  ['CONNECT a:443 HTTP/1.1', 'other'],
  [`GET ${'a'.repeat(3000)}`, 'other'],
  ['SSH-2.0-OpenSSH_9.6\r\n', 'other'],
  ['EHLO shop.example\r\n', 'other'],
  ['set /key 0 0 5\r\n', 'other'],
  ['*1\r\n$4\r\nPING\r\n', 'other'],
  [' GET /', 'other'],
  ['\0\0', 'other'],
  ['A'.repeat(33), 'other'],
])('%j looks like %s', (text, expected) => {
  expect(looksLike(text)).toBe(expected);
});

test('on a port that declares its protocol the first byte that is no TLS is enough', () => {
  expect(looksLike('G', false)).toBe('other');
  expect(looksLike('\x16\x03', false)).toBe(null);
  expect(looksLike('', false)).toBe(null);
});

const lines = string({
  unit: constantFrom('G', 'a', '/', ' ', ' HTTP/1.', 'H', ':', '.', '*', '1', '\r\n', '\xe9'),
  minLength: 1,
  maxLength: 20,
}).map((text) => Uint8Array.from(Buffer.from(text, 'latin1')));

test('more bytes never change an answer that was given', () => {
  const begun = oneof(uint8Array({ minLength: 1, maxLength: 60 }), lines);
  assert(
    property(begun, nat(59), (bytes, cut) => {
      const whole = Buffer.from(bytes);
      const early = readOpening(whole.subarray(0, cut), true);
      expect(early === null ? readOpening(whole, true) : early).toEqual(readOpening(whole, true));
    }),
    { numRuns: 4000, seed: 4 },
  );
});

test('bytes that came in time are read although a stall let the time pass', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const { promise, resolve } = Promise.withResolvers<string | null>();
  readFirstBytes(accepted, 20, (bytes) => bytes.toString(), resolve);
  client.write('early');
  const untilMs = performance.now() + 60;
  while (performance.now() < untilMs);
  expect(await promise).toBe('early');
  client.destroy();
  server.close();
});

test('silence is told when the time is up', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const { promise, resolve } = Promise.withResolvers<string | null>();
  readFirstBytes(accepted, 20, (bytes) => bytes.toString(), resolve);
  expect(await promise).toBe(null);
  client.destroy();
  server.close();
});
