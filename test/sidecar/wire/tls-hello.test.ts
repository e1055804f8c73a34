import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';

import { assert, nat, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { helloBytesMax, readClientHello, startsTls } from '#sidecar/wire/tls-hello.ts';

/** The first flight of a real TLS client. */
async function captureHello(servername: string, alpn: string[]): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => socket.once('data', resolve)).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const raw: Socket = connectTcp(address.port, '127.0.0.1');
  const client = connect({ socket: raw, servername, ALPNProtocols: alpn });
  client.on('error', () => {});
  const bytes = await promise;
  client.destroy();
  raw.destroy();
  server.close();
  return bytes;
}

/** The same handshake bytes in records of at most `size` bytes. */
function resplit(hello: Buffer, size: number): Buffer {
  const body = hello.subarray(5);
  const out: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    out.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(out);
}

const NAME = 'outbound_.8080_._.Payments.shop.svc.cluster.local';
const real = await captureHello(NAME, ['istio-http/1.1', 'istio']);
const expected = {
  kind: 'hello',
  hello: { alpn: ['istio-http/1.1', 'istio'], sni: NAME.toLowerCase() },
};

test('the hello of a real client gives its protocols and its lower-cased name', () => {
  expect(startsTls(real[0] ?? 0)).toBe(true);
  expect(readClientHello(real)).toEqual(expected);
});

test('every shorter prefix of a hello asks for more', () => {
  for (let length = 0; length < real.length; length += 1) {
    expect(readClientHello(real.subarray(0, length)).kind).toBe('more');
  }
});

test('what follows a hello is not read, however little of it is in the first record', () => {
  const rest = Buffer.from([20, 3, 3, 0, 1, 1]);
  for (const size of [1, 2, 3, 4, 5]) {
    const first = resplit(real.subarray(0, 5 + size), size);
    const hello = Buffer.concat([first, resplit(real.subarray(size), 1_000)]);
    expect(readClientHello(Buffer.concat([hello, rest]))).toEqual(expected);
  }
});

test('a hello split over many records reads the same', () => {
  const least = Math.ceil((real.length - 5) / 64);
  for (const size of [least, least + 1, 100, 1000]) {
    expect(readClientHello(resplit(real, size))).toEqual(expected);
  }
});

test('a hello in thousands of records is refused before it costs time', () => {
  const start = [22, 3, 1, 0, 4, 1, 0, 0x3f, 0];
  const record = [22, 3, 1, 0, 1, 0];
  const bytes = Buffer.from([...start, ...Array.from({ length: 16_000 }, () => record).flat()]);
  expect(readClientHello(bytes)).toMatchObject({ kind: 'malformed' });
  const startedMs = performance.now();
  for (let i = 0; i < 100; i += 1) readClientHello(bytes);
  // Each call took 300 ms when it read them all.
  expect(performance.now() - startedMs).toBeLessThan(1000);
});

test('bytes after the hello are left alone', () => {
  expect(readClientHello(Buffer.concat([real, Buffer.from([20, 3, 3, 0, 1, 1])]))).toEqual(
    expected,
  );
});

test('bytes after a hello whose first record is tiny are left alone too', () => {
  const body = real.subarray(5);
  const first = Buffer.from([22, 3, 1, 0, 2]);
  const second = Buffer.from([22, 3, 1, (body.length - 2) >> 8, (body.length - 2) & 0xff]);
  const rest = Buffer.from([20, 3, 3, 0, 1, 1]);
  const bytes = Buffer.concat([first, body.subarray(0, 2), second, body.subarray(2), rest]);
  expect(readClientHello(bytes)).toEqual(expected);
});

test('a hello without ALPN and name is a hello', async () => {
  const bytes = await captureHello('', []);
  expect(readClientHello(bytes)).toEqual({ kind: 'hello', hello: { alpn: [], sni: '' } });
});

test('an oversized hello is refused from its length alone', () => {
  const big = Buffer.from([22, 3, 1, 0, 4, 1, 0, (helloBytesMax >> 8) & 0xff, 1]);
  expect(readClientHello(big)).toMatchObject({ kind: 'malformed' });
});

test('line breaks in a server name are refused, so that none reaches a log', () => {
  const bytes = Buffer.from(real);
  bytes[bytes.indexOf('Payments')] = 0x0a;
  expect(readClientHello(bytes)).toMatchObject({ kind: 'malformed' });
});

test.each([
  ['another record type', [23, 3, 1, 0, 1, 1]],
  ['no TLS version', [22, 2, 1, 0, 1, 1]],
  ['an empty record', [22, 3, 1, 0, 0]],
  ['an oversized record', [22, 3, 1, 0xff, 0xff]],
  ['another handshake message', [22, 3, 1, 0, 4, 2, 0, 0, 0]],
  ['a hello of no bytes', [22, 3, 1, 0, 4, 1, 0, 0, 0]],
])('%s is malformed', (_name, bytes) => {
  expect(readClientHello(Buffer.from(bytes)).kind).toBe('malformed');
});

test('no bytes make the parser throw, and flipped bytes give one of its three answers', () => {
  assert(
    property(uint8Array({ maxLength: 400 }), (bytes) => {
      readClientHello(Buffer.concat([Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196]), bytes]));
    }),
    { numRuns: 3000, seed: 1 },
  );
  assert(
    property(nat(real.length - 1), nat(255), nat(255), (at, value, cut) => {
      const bytes = Buffer.from(real);
      bytes[at] = value;
      const result = readClientHello(bytes.subarray(0, bytes.length - (cut % 3)));
      expect(['hello', 'more', 'malformed']).toContain(result.kind);
      expect(result.kind === 'hello' ? result.hello.sni : '').toMatch(/^[a-z0-9._-]*$/);
    }),
    { numRuns: 3000, seed: 2 },
  );
});
