// What a forward proxy may answer, in whatever pieces it comes.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';

import { answerIn, askForTunnel } from '#sidecar/outbound/forward-proxy.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const bank = { method: 'CONNECT', host: 'bank.example', port: 443 } as const;

/** A connection to a proxy that does as the test says. */
async function proxied(answer: (socket: Socket) => unknown): Promise<Socket> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
    closers.push(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  closers.push(() => server.close());
  closers.push(() => socket.destroy());
  return socket;
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test('what follows the consent, with the end, is the far end’s', async () => {
  const socket = await proxied((proxy) => proxy.end('HTTP/1.1 200 OK\r\nx: y\r\n\r\nhello'));
  await askForTunnel(socket, bank, 5000);
  expect(await textOf(socket)).toBe('hello');
});

test('it may come in single bytes, after steps that are no answer', async () => {
  const bytes = 'HTTP/1.1 103 Early\r\na: b\r\n\r\nHTTP/1.0 204\r\n\r\nhi'.split('');
  const writeNext = (proxy: Socket): void => {
    const byte = bytes.shift();
    if (byte === undefined) proxy.end();
    else proxy.write(byte, () => setImmediate(writeNext, proxy));
  };
  const socket = await proxied((proxy) => writeNext(proxy.setNoDelay()));
  await askForTunnel(socket, bank, 5000);
  expect(await textOf(socket)).toBe('hi');
});

test.each([
  ['HTTP/1.1 403 Forbidden\r\n\r\n', 'the proxy refused the tunnel: 403'],
  ['HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n', 'the proxy refused the tunnel: 302'],
  ['SSH-2.0-OpenSSH\r\n\r\n', 'the proxy answered no HTTP/1.1'],
  ['HTTP/2 200\r\n\r\n', 'the proxy answered no HTTP/1.1'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'the proxy answered no HTTP/1.1'],
  [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`, 'the proxy answers without end'],
  ['HTTP/1.1 200', 'the proxy closed the connection'],
  ['', 'the proxy closed the connection'],
])('%j is no tunnel: %s', async (answer, message) => {
  const socket = await proxied((proxy) => proxy.end(answer));
  await expect(askForTunnel(socket, bank, 5000)).rejects.toThrow(message);
  expect(socket.destroyed).toBe(true);
});

test('a proxy that says nothing is given up', async () => {
  const socket = await proxied(() => undefined);
  await expect(askForTunnel(socket, bank, 50)).rejects.toThrow('did not answer in time');
  expect(socket.destroyed).toBe(true);
});

test('a tunnel by POST is never taken for one by CONNECT', async () => {
  const socket = await proxied((proxy) => proxy.end('HTTP/1.1 200 OK\r\n\r\n'));
  await expect(askForTunnel(socket, { ...bank, method: 'POST' }, 50)).rejects.toThrow('CONNECT');
});

test('an answer is the same however much of what follows has come', () => {
  const head = fc.stringMatching(
    /^HTTP\/1\.[01] [1-9]\d\d [ -~]{0,20}\r\n([a-z]+: [ -~]*\r\n)*\r\n$/,
  );
  fc.assert(
    fc.property(head, fc.uint8Array(), fc.nat(), (text, more, cut) => {
      const bytes = Buffer.concat([Buffer.from(text), more]);
      const whole = answerIn(bytes);
      expect(whole?.status).toBe(Number(text.slice(9, 12)));
      expect(whole?.rest).toEqual(Buffer.from(more));
      expect(answerIn(bytes.subarray(0, cut % text.length))).toBeNull();
    }),
  );
});

test('whatever comes is an answer, no answer, or not whole', () => {
  const line = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1',
    ' 200',
    '\r\n',
    '\r\n\r\n',
    '\0',
    'x',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), (parts) => {
      const text = parts.join('');
      const whole = /^(status \d{3}|the proxy answered no HTTP\/1\.1)$/;
      expect(outcomeOf(Buffer.from(text))).toMatch(text.includes('\r\n\r\n') ? whole : 'not whole');
    }),
  );
});

function outcomeOf(bytes: Buffer): string {
  try {
    const answer = answerIn(bytes);
    return answer === null ? 'not whole' : `status ${answer.status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
