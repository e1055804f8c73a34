// A folder that is not the shop: bytes over TCP, a WebSocket, events that trickle, and a Service with two pods.
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { ProxyAgent, WebSocket } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.start(join(import.meta.dirname, 'data/streams'));
  mesh.running.follow();
});
afterAll(() => mesh.stop());

const proxyOf = (workload: string): number => mesh.pod(workload).sidecar?.outbound ?? 0;

/** Opens a stream through the caller's sidecar and says `text`; what comes back until `lines` lines or the end. */
function talk(from: string, authority: string, text: string, lines: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    let open = false;
    const socket = connect({ host: '127.0.0.1', port: proxyOf(from) }, () => {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
    });
    const end = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.setTimeout(10_000, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
      const head = heard.indexOf('\r\n\r\n');
      if (!open && head >= 0) {
        open = true;
        heard = heard.slice(head + 4);
        socket.write(text);
      }
      if (open && heard.split('\n').length > lines) end();
    });
  });
}

test('the account that an L4 policy names talks over TCP, also where the server speaks first', async () => {
  expect(await talk('client', 'lines.site:7000', 'hello\nworld\n', 3)).toBe(
    '220 welcome\nHELLO\nWORLD\n',
  );
});

test('a program that speaks no HTTP proxy calls the service at the port that its environment names', async () => {
  const [lines] = mesh.pod('client').bytesPorts;
  expect(lines).toMatchObject({ host: 'lines.site', port: 7000 });
  const socket = connect({ host: '127.0.0.1', port: lines?.listen ?? 0 });
  let heard = '';
  socket.on('data', (bytes: Buffer) => {
    heard += String(bytes);
    // The server speaks first, and nobody waits.
    if (heard === '220 welcome\n') socket.write('hello\n');
  });
  await eventually(
    async () => heard,
    (text) => text === '220 welcome\nHELLO\n',
  );
  socket.destroy();
  await eventually(
    async () => mesh.output(),
    (text) => /site\/client -> lines {2}TCP {2}allowed/.test(text),
  );
});

test('another account gets not one byte, and it is told who refused', async () => {
  expect(await talk('stranger', 'lines.site:7000', 'hello\n', 1)).toBe('');
  await eventually(
    async () => mesh.output(),
    (text) => /site\/stranger -> lines {2}TCP {2}denied {2}/.test(text),
  );
  expect(mesh.output()).toMatch(
    /site\/client -> lines {2}TCP {2}allowed {2}site\/lines-for-the-cl/,
  );
});

test('a WebSocket echoes through two sidecars', async () => {
  const agent = new ProxyAgent(`http://127.0.0.1:${proxyOf('client')}`);
  const socket = new WebSocket('ws://echo.site/', { dispatcher: agent });
  const heard: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('error', (event) => reject(new Error(event.message)));
    socket.addEventListener('open', () => socket.send('one'));
    socket.addEventListener('message', ({ data }) => {
      heard.push(data);
      if (heard.length === 1) socket.send('two');
      else resolve();
    });
  });
  expect(heard).toEqual(['one', 'two']);
  socket.close();
  await agent.destroy();
});

test('events arrive when they are sent, not when the answer is over', async () => {
  const agent = new ProxyAgent(`http://127.0.0.1:${proxyOf('client')}`);
  const { body } = await agent.request({
    origin: 'http://pages.site',
    path: '/events',
    method: 'GET',
  });
  const arrivedAtMs: number[] = [];
  let text = '';
  for await (const chunk of body) {
    arrivedAtMs.push(performance.now());
    text += String(chunk);
  }
  expect(text).toBe('data: 1\n\ndata: 2\n\ndata: 3\n\n');
  expect((arrivedAtMs.at(-1) ?? 0) - (arrivedAtMs[0] ?? 0)).toBeGreaterThan(300);
  await agent.destroy();
});

test('two pods answer in turn, found by the name of their port', async () => {
  const answers = new Set<string>();
  for (let i = 0; i < 6; i += 1) {
    const { body } = await mesh.call('client', 'GET', 'http://pages.site/');
    answers.add(body.trim());
  }
  expect(answers).toEqual(new Set(['pages-0 first', 'pages-1 first']));
  await sleep(300);
  expect(mesh.output()).toMatch(/site\/client -> pages-1 {2}GET \/ {2}200 allowed/);
});
