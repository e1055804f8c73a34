import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { InboundPort } from '#api/traffic/inbound.ts';
import type { PortProtocol } from '#api/workload.ts';
import { exchange, get, plain, readToEnd, Rig, type TestSidecar } from '#test/sidecar/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

function rule(rest: Partial<InboundPort>, port = 8080): InboundPort {
  return { port, sources: ['Sidecar shop/own'], ...rest };
}

async function sidecarWith(
  application: number,
  inbound: readonly InboundPort[],
  protocol: PortProtocol = 'http',
): Promise<TestSidecar> {
  return rig.sidecar({ application, protocol, traffic: { inbound } });
}

/** Answers when it is told to; tells how many wait. */
async function slowApplication(): Promise<{ port: number; waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = [];
  const { port } = await rig.application((_request: IncomingMessage, response) => {
    waiting.push(response);
  });
  return { port, waiting };
}

test('the application is where the listener says, from the next call on', async () => {
  const { port } = await rig.application((_request, response) => response.end('here'));
  const other = await rig.application((_request, response) => response.end('there'));
  const sidecar = await sidecarWith(port, []);
  const ask = async (): Promise<string> =>
    (await exchange(await plain(sidecar.inboundPort), get('/'))).body;
  expect(await ask()).toContain('here');
  const application = { host: '127.0.0.1', port: other.port };
  sidecar.apply({ traffic: { inbound: [rule({ application })] } });
  expect(await ask()).toContain('there');
  sidecar.apply({ traffic: {} });
  expect(await ask()).toContain('here');
});

test("an application may listen on a socket of a file, or in Linux' abstract names", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-unix-'));
  rig.onClose(() => rm(folder, { recursive: true }));
  const names = [join(folder, 'app.sock'), `@selvage-${process.pid}`];
  const sidecar = await sidecarWith(1, []);
  for (const path of process.platform === 'linux' ? names : names.slice(0, 1)) {
    const server = createServer((_request, response) => response.end(path));
    server.listen(path.replace(/^@/, '\0'));
    await once(server, 'listening');
    sidecar.apply({ traffic: { inbound: [rule({ application: { path } })] } });
    const reply = await exchange(await plain(sidecar.inboundPort), get('/'));
    expect(reply.status).toBe(200);
    expect(reply.body).toContain(path);
    server.close();
    server.closeAllConnections();
  }
});

test("a port of the sidecar's own is no application, whatever is said", async () => {
  const { port } = await rig.application();
  const sidecar = await sidecarWith(port, []);
  sidecar.upstreams?.ownPorts.add(port);
  sidecar.apply({ traffic: { inbound: [rule({ application: { host: '127.0.0.1', port } })] } });
  expect((await exchange(await plain(sidecar.inboundPort), get('/'))).status).toBe(503);
});

test('more requests than may be under way are refused, and are served again when some have ended', async () => {
  const { port, waiting } = await slowApplication();
  const sidecar = await sidecarWith(port, [rule({ pool: { maxRequests: 2 } }, 0)]);
  const first = [0, 1].map(async () => exchange(await plain(sidecar.inboundPort), get('/')));
  await expect.poll(() => waiting.length).toBe(2);
  const refused = await exchange(await plain(sidecar.inboundPort), get('/'));
  expect(refused.status).toBe(503);
  expect(refused.body).toContain('overflow');
  expect(sidecar.telemetry.flags).toEqual(['UO']);
  for (const response of waiting.splice(0)) response.end('done');
  await Promise.all(first);
  const next = exchange(await plain(sidecar.inboundPort), get('/'));
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]?.end('done');
  expect((await next).status).toBe(200);
});

test('a client that leaves counts no more', async () => {
  const { port, waiting } = await slowApplication();
  const sidecar = await sidecarWith(port, [rule({ pool: { maxRequests: 1 } })]);
  const socket = await plain(sidecar.inboundPort);
  socket.write(get('/'));
  await expect.poll(() => waiting.length).toBe(1);
  socket.destroy();
  await expect.poll(() => sidecar.telemetry.ended.length).toBe(1);
  const next = exchange(await plain(sidecar.inboundPort), get('/'));
  await expect.poll(() => waiting.length).toBe(2);
  waiting[1]?.end('done');
  expect((await next).status).toBe(200);
});

test('connections to the application are so many, and so many more calls wait for one', async () => {
  const { port, waiting } = await slowApplication();
  const pool = { maxConnections: 1, maxPendingRequests: 1 };
  const sidecar = await sidecarWith(port, [rule({ pool })]);
  const under = exchange(await plain(sidecar.inboundPort), get('/'));
  await expect.poll(() => waiting.length).toBe(1);
  const two = [0, 1].map(async () => exchange(await plain(sidecar.inboundPort), get('/')));
  const refused = await Promise.race(two);
  expect(refused.status).toBe(503);
  waiting[0]?.end('done');
  expect((await under).status).toBe(200);
  await expect.poll(() => waiting.length).toBe(2);
  waiting[1]?.end('done');
  const statuses = (await Promise.all(two)).map(({ status }) => status);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 503]);
});

test('connections of bytes are limited likewise', async () => {
  const server = createTcpServer((socket) =>
    socket
      .resume()
      .on('error', () => undefined)
      .write('hello'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sidecar = await sidecarWith(port, [rule({ pool: { maxConnections: 1 } })], 'tcp');
  const first = await plain(sidecar.inboundPort);
  first.write('x');
  expect(String((await once(first, 'data')) as unknown)).toBe('hello');
  const second = await plain(sidecar.inboundPort);
  second.write('x');
  expect(await readToEnd(second)).toBe('');
  first.destroy();
  await expect
    .poll(async () => {
      const third = await plain(sidecar.inboundPort);
      third.write('x');
      const got = await Promise.race([once(third, 'data'), once(third, 'close')]).catch(() => []);
      third.destroy();
      return String(got[0] ?? '');
    })
    .toBe('hello');
});

test('a connection of bytes lives as long as is said', async () => {
  const server = createTcpServer((socket) =>
    socket
      .resume()
      .on('error', () => undefined)
      .write('hello'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const { port } = server.address() as AddressInfo;
  const pool = { maxConnectionDurationMs: 50 };
  const sidecar = await sidecarWith(port, [rule({ pool })], 'tcp');
  const socket = await plain(sidecar.inboundPort);
  socket.write('x');
  expect(await readToEnd(socket)).toBe('hello');
});

test.each<[string, InboundPort[], InboundPort[]]>([
  [
    'another port',
    [rule({ pool: { maxRequests: 9 } }), rule({ pool: { maxRequests: 8 } }, 9090)],
    [rule({ pool: { maxRequests: 7 } }, 9090), rule({ pool: { maxRequests: 9 } })],
  ],
  ['another port, first', [], [rule({ pool: { maxRequests: 7 } }, 9090)]],
  [
    'all ports, where this one has its own',
    [rule({ pool: { maxRequests: 9 } }), rule({ pool: { maxRequests: 8 } }, 0)],
    [rule({ pool: { maxRequests: 9 } }), rule({ pool: { maxRequests: 7 } }, 0)],
  ],
  [
    'this port, which says what was said of all',
    [rule({ pool: { maxRequests: 9 } }, 0)],
    [rule({ pool: { maxRequests: 9 } })],
  ],
  [
    'this port by another name',
    [rule({ pool: { maxRequests: 9 } })],
    [rule({ pool: { maxRequests: 9 }, sources: ['Sidecar shop/renamed'] })],
  ],
])('a change of %s leaves connections to the application alone', async (_, before, after) => {
  const { port, server } = await rig.application();
  let opened = 0;
  server.on('connection', () => (opened += 1));
  const sidecar = await sidecarWith(port, before);
  const ask = async (): Promise<number> =>
    (await exchange(await plain(sidecar.inboundPort), get('/'))).status;
  expect(await ask()).toBe(200);
  sidecar.apply({ traffic: { inbound: after } });
  expect(await ask()).toBe(200);
  expect(opened).toBe(1);
  sidecar.apply({ traffic: { inbound: [rule({ pool: { maxRequestsPerConnection: 1 } })] } });
  expect(await ask()).toBe(200);
  expect(opened).toBe(2);
});
