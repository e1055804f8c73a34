// The CA's endpoint against callers that misbehave: slow, gone, too many at once.
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Log } from '#runtime/log.ts';
import { startTestCa, type TestCa } from './fixture.ts';

let ca: TestCa;
const errors: unknown[] = [];
const quiet = (): void => {};
const log: Log = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: (fields, message) => void errors.push([message, fields]),
  child: () => log,
};

beforeAll(async () => {
  ca = await startTestCa({ log });
});
afterAll(() => ca.close());

test('callers that go away in the midst of anything leave no error and no open call', async () => {
  const bundle = await ca.bundle();
  const token = await ca.tokens.make();
  const ways = [
    () => {
      const session = connectHttp2(`https://localhost:${ca.ca.port}`, { ca: bundle });
      session.on('error', quiet);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/v1/certificates',
        authorization: `Bearer ${token}`,
      });
      stream.on('error', quiet);
      stream.write('{"csr":');
      setTimeout(() => session.destroy(), 30);
    },
    () => {
      const socket = connect({ port: ca.ca.port, host: '127.0.0.1', ca: bundle });
      socket.on('error', quiet);
      socket.write('POST /v1/certificates HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{');
      setTimeout(() => socket.destroy(), 30);
    },
    () => {
      const socket = connectTcp(ca.ca.port, '127.0.0.1');
      socket.on('error', quiet);
      socket.write('GET / HTTP/1.1\r\n\r\n');
      setTimeout(() => socket.destroy(), 30);
    },
    () => {
      const socket = connect({
        port: ca.ca.port,
        host: '127.0.0.1',
        ca: bundle,
        ALPNProtocols: ['h2'],
      });
      socket.on('error', quiet);
      socket.on('secureConnect', () => socket.write(Buffer.alloc(5000, 0xff)));
      setTimeout(() => socket.destroy(), 60);
    },
  ];
  for (let round = 0; round < 5; round += 1) for (const way of ways) way();
  await sleep(250);
  expect(errors).toEqual([]);
  expect((await ca.sign()).status).toBe(200);
});

test('a body that never comes is refused in time, and so is a head', async () => {
  const own = await startTestCa({ env: { SELVAGE_CA_CALL_TIMEOUT_MS: '300' } });
  try {
    const bundle = await own.bundle();
    const said = (bytes: string) =>
      new Promise<string>((resolve) => {
        let text = '';
        const socket = connect({ port: own.ca.port, host: '127.0.0.1', ca: bundle });
        socket.on('data', (part: Buffer) => {
          text += part.toString('latin1');
        });
        socket.on('close', () => resolve(text));
        socket.on('error', quiet);
        socket.write(bytes);
      });
    const head = 'POST /v1/certificates HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n';
    expect(await said(`${head}\r\n{`)).toMatch(/^HTTP\/1.1 408 .*request-timeout/s);
    expect(await said(head)).toMatch(/^HTTP\/1.1 408|^$/);
  } finally {
    await own.close();
  }
});

test('closing lets a present call end and waits no longer than it is told', async () => {
  const own = await startTestCa();
  const session = connectHttp2(`https://localhost:${own.ca.port}`, { ca: await own.bundle() });
  session.on('error', quiet);
  const stream = session.request({ ':method': 'POST', ':path': '/v1/certificates' });
  stream.on('error', quiet);
  await new Promise((resolve) => session.on('remoteSettings', resolve));
  const startMs = performance.now();
  await own.close();
  const tookMs = performance.now() - startMs;
  expect(tookMs).toBeGreaterThan(150);
  expect(tookMs).toBeLessThan(1500);
});
