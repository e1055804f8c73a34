import { afterEach, expect, test } from 'vitest';

import { eachHead, Rig, waitFor } from './rig.ts';
import type { RigOptions } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

async function start(
  upstream: Parameters<typeof Rig.start>[0],
  options?: RigOptions,
): Promise<Rig> {
  rig = await Rig.start(upstream, options);
  return rig;
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const get = 'GET /a?b HTTP/1.1\r\nHost: shop\r\n\r\n';

test('a request is forwarded and its response relayed', async () => {
  const heads: string[] = [];
  await start(
    eachHead((head, socket) => {
      heads.push(head);
      socket.write(ok);
    }),
  );
  const client = rig.connect();
  client.send(get);
  expect(await client.until('\r\n\r\nok')).toBe(ok);
  expect(heads).toEqual([get]);
  expect(rig.finished.length).toBe(1);
  const x = rig.finished[0]!;
  expect([x.status, x.attempts, x.responseBodyBytes, x.failure]).toEqual([200, 1, 2, null]);
  expect(x.finishedAtMs).toBeGreaterThanOrEqual(x.startedAtMs);
});

test('requests that are pipelined get their answers in order, one at a time', async () => {
  let open = 0;
  await start(
    eachHead((head, socket) => {
      expect(++open).toBe(1);
      setTimeout(() => {
        open--;
        const path = head.split(' ')[1]!;
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
      }, 2);
    }),
  );
  const client = rig.connect();
  client.send(
    Array.from({ length: 20 }, (_, i) => `GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(''),
  );
  await waitFor(() => rig.finished.length === 20);
  await client.until('/19');
  expect(client.text.match(/(?<=\n)\/\d+/g)).toEqual(Array.from({ length: 20 }, (_, i) => `/${i}`));
  expect(rig.upstreamSockets.length).toBe(1);
});

test('a body goes through by its length, however it is split', async () => {
  await start((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.endsWith('hello world')) return;
      socket.write(ok);
      text = '';
    });
  });
  const request = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world';
  for (let at = 1; at < request.length; at++) {
    const client = rig.connect();
    client.send(request.slice(0, at));
    await new Promise((resolve) => setImmediate(resolve));
    client.send(request.slice(at));
    await client.until('ok');
    client.socket.destroy();
  }
  expect(rig.finished.every((x) => x.requestBodyBytes === 11 && x.status === 200)).toBe(true);
}, 20_000);
