import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

import { expect, test } from 'vitest';

import {
  loadOriginalDestination,
  readIpv4,
  readIpv6,
} from '#sidecar/capture/original-destination.ts';
import { plainAddress } from '#runtime/plain-address.ts';

const onLinux = process.platform === 'linux';

test('addresses are read as the kernel writes them', () => {
  const four = Buffer.from([2, 0, 0x1f, 0x90, 10, 96, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(readIpv4(four)).toEqual({ host: '10.96.0.7', port: 8080 });
  const six = Buffer.concat([
    Buffer.from([10, 0, 0x1f, 0x90, 0, 0, 0, 0, 0xfd, 0x77]),
    Buffer.alloc(13),
    Buffer.from([1, 0, 0, 0, 0]),
  ]);
  expect(readIpv6(six)).toEqual({ host: 'fd77::1', port: 8080 });
  expect(plainAddress('::ffff:10.0.0.7')).toBe('10.0.0.7');
  expect(plainAddress('::1')).toBe('::1');
});

/** An accepted connection, its server and its client. */
async function accepted(host: string, to = host): Promise<{ socket: Socket; close: () => void }> {
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const client = connect({ host: to, port: (server.address() as AddressInfo).port });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const close = (): void => {
    client.destroy();
    socket.destroy();
    server.close();
  };
  return { socket, close };
}

test.runIf(onLinux).each([
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['::', '127.0.0.1'],
])('a connection to %s that nobody redirected has none', async (host, to) => {
  const originalDestination = await loadOriginalDestination();
  const { socket, close } = await accepted(host, to);
  expect(originalDestination(socket)).toBeNull();
  close();
});

test.runIf(onLinux)('a closed socket has none, however it was closed', async () => {
  const originalDestination = await loadOriginalDestination();
  const { socket, close } = await accepted('127.0.0.1');
  socket.destroy();
  expect(originalDestination(socket)).toBeNull();
  await once(socket, 'close');
  expect(originalDestination(socket)).toBeNull();
  close();
});

test.runIf(onLinux)('it asks without keeping memory', async () => {
  const originalDestination = await loadOriginalDestination();
  const { socket, close } = await accepted('127.0.0.1');
  const ask = (times: number): void => {
    for (let i = 0; i < times; i += 1) originalDestination(socket);
  };
  ask(20_000);
  const before = process.memoryUsage.rss();
  ask(200_000);
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  close();
});

test.runIf(onLinux)('worker threads have it too', async () => {
  const url = new URL('../../../sidecar/capture/original-destination.ts', import.meta.url);
  const code = `
    import { loadOriginalDestination } from ${JSON.stringify(url.href)};
    import { parentPort } from 'node:worker_threads';
    import { Socket } from 'node:net';
    parentPort.postMessage(String((await loadOriginalDestination())(new Socket())));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [answer] = (await once(worker, 'message')) as [string];
  expect(answer).toBe('null');
  await worker.terminate();
});
