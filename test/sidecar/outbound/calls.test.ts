import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { freePort } from '#test/free-port.ts';

import {
  authorization,
  exchange,
  get,
  inTurn,
  plain,
  readToEnd,
  received,
  Rig,
  serviceOf,
  spiffe,
  strict,
  type HttpReply,
  type TestSidecar,
} from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const payments = spiffe('shop', 'payments');
const web = { account: 'web' };

/** A workload `payments` behind a STRICT sidecar, and a client sidecar that knows it. */
async function pair(policies = ''): Promise<{ server: TestSidecar; client: TestSidecar }> {
  const application = await rig.application();
  const server = await rig.sidecar({ application: application.port, policies: strict + policies });
  const service = serviceOf('payments', [{ port: server.inboundPort, identity: payments }]);
  const client = await rig.sidecar({ ...web, services: [service] });
  return { server, client };
}

async function call(client: TestSidecar, url: string, headers = ''): Promise<HttpReply> {
  const raw = `GET ${url} HTTP/1.1\r\nhost: ignored\r\nconnection: close\r\n${headers}\r\n`;
  return exchange(await plain(client.outboundPort), raw);
}

async function nextData(socket: Socket): Promise<string> {
  return String((await once(socket, 'data'))[0]);
}

test('a call passes both sidecars with mutual TLS and the identity of its caller', async () => {
  const rules = '[{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }]';
  const { client, server } = await pair(authorization('web-only', 'ALLOW', rules));
  const reply = await call(
    client,
    'http://payments/pay?x=1',
    'x-forwarded-client-cert: forged\r\n',
  );
  expect(reply.status).toBe(200);
  const { url, headers } = received(reply);
  expect(url).toBe('/pay?x=1');
  expect(headers).toMatchObject({
    host: 'payments',
    'x-forwarded-proto': 'http',
    'x-envoy-attempt-count': '1',
  });
  expect(headers['x-forwarded-client-cert']).toMatch(
    /^By=[^,]*;URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web$/,
  );
  expect(server.telemetry.ended[0]?.verdict).toBe('shop/web-only');
  expect(client.faults).toEqual([]);
});

test.each([
  'http://payments/',
  'http://payments:80/',
  'http://PAYMENTS.shop/',
  'http://payments.shop.svc.cluster.local./',
  'http://payments.shop.svc:80/',
])('the service is found as %s', async (url) => {
  const { client } = await pair();
  expect((await call(client, url)).status).toBe(200);
});

test('a request in origin form is routed by its Host', async () => {
  const { client } = await pair();
  expect((await exchange(await plain(client.outboundPort), get('/o'))).status).toBe(200);
});

test('connections to an endpoint are kept when a new snapshot keeps the endpoint', async () => {
  const { client, server } = await pair();
  await call(client, 'http://payments/');
  expect(server.connections.size).toBe(1);
  const again = serviceOf('payments', [
    { port: server.inboundPort, identity: payments, labels: { v: '2' } },
  ]);
  client.apply({ services: [again] });
  await call(client, 'http://payments/');
  expect(server.connections.size).toBe(1);
  expect(server.telemetry.ended).toHaveLength(2);
});

test('calls go to every endpoint; those without a sidecar get plaintext', async () => {
  const one = await rig.application((_q, s) => s.end('one'));
  const two = await rig.application((_q, s) => s.end('two'));
  const service = serviceOf('payments', [{ port: one.port }, { port: two.port }]);
  const client = await rig.sidecar({ ...web, services: [service], traffic: inTurn });
  const bodies: string[] = [];
  // Each idle one is as likely: that one of them gets none of 64 happens never.
  for (let i = 0; i < 64; i += 1) bodies.push((await call(client, 'http://payments/')).body);
  expect(new Set(bodies)).toEqual(new Set(['one', 'two']));
});

test('a call to an endpoint that is down is answered by another', async () => {
  const alive = await rig.application((q, s) => s.end(q.headers['x-envoy-attempt-count']));
  const service = serviceOf('payments', [{ port: await freePort() }, { port: alive.port }]);
  const client = await rig.sidecar({ ...web, services: [service], traffic: inTurn });
  const replies: HttpReply[] = [];
  for (let i = 0; i < 64; i += 1) replies.push(await call(client, 'http://payments/'));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(replies.map(({ body }) => body))).toEqual(new Set(['1', '2']));
});

test('endpoints that are all down give 503 UF, no endpoints 503 UH', async () => {
  const services = [serviceOf('down', [{ port: await freePort() }]), serviceOf('empty', [])];
  const client = await rig.sidecar({ ...web, services });
  expect((await call(client, 'http://down/')).status).toBe(503);
  expect((await call(client, 'http://empty/')).body).toBe('no healthy upstream');
  expect(client.telemetry.ended).toMatchObject([
    { failure: 'upstream-connect', details: expect.stringContaining('ECONNREFUSED') },
    { failure: 'endpoint-missing' },
  ]);
});

test('a peer of another identity gets not one byte of the request', async () => {
  const impostor = await rig.issued(spiffe('shop', 'impostor'));
  const seen: string[] = [];
  const server = createTlsServer(
    {
      key: impostor.keyPem,
      cert: impostor.certPem,
      ca: impostor.caPem,
      ALPNProtocols: ['istio-http/1.1'],
    },
    (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => seen.push(String(bytes)));
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = await rig.sidecar({
    ...web,
    services: [serviceOf('payments', [{ port, identity: payments }])],
  });
  const reply = await call(client, 'http://payments/secret');
  expect(reply.status).toBe(503);
  expect(client.telemetry.ended[0]).toMatchObject({ failure: 'upstream-tls' });
  expect(client.telemetry.ended[0]?.details).toContain(
    `is ${spiffe('shop', 'impostor')}, wanted ${payments}`,
  );
  expect(seen).toEqual([]);
});

test('a host of no service is called as it is, an unknown port of a service is not', async () => {
  const outside = await rig.application();
  const { client } = await pair();
  const reply = await call(client, `http://127.0.0.1:${outside.port}/out`);
  expect(received(reply).url).toBe('/out');
  expect((await call(client, 'http://payments:81/')).status).toBe(502);
  expect((await call(client, `http://127.0.0.1:${client.outboundPort}/loop`)).status).toBe(502);
});

test('TLS is asked for by CONNECT, not by an https URL', async () => {
  const { client } = await pair();
  expect((await call(client, 'https://payments/')).status).toBe(404);
});

test('a WebSocket passes both sidecars', async () => {
  const { client } = await pair();
  const socket = await plain(client.outboundPort);
  const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
  socket.write(`GET http://payments/chat HTTP/1.1\r\nhost: payments\r\n${upgrade}\r\n`);
  expect(await nextData(socket)).toMatch(/^HTTP\/1\.1 101 /);
  socket.write('hello');
  expect(await nextData(socket)).toBe('hello');
  socket.destroy();
});

test('CONNECT to a TCP service is a tunnel with mutual TLS, half-close kept', async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(bytes));
    socket.on('end', () => socket.end('bye'));
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  rig.onClose(() => echo.close());
  const application = (echo.address() as AddressInfo).port;
  const server = await rig.sidecar({ application, protocol: 'tcp', policies: strict });
  const endpoints = [
    { port: await freePort(), identity: payments },
    { port: server.inboundPort, identity: payments },
  ];
  const client = await rig.sidecar({ ...web, services: [serviceOf('payments', endpoints, 'tcp')] });
  const socket = await plain(client.outboundPort);
  socket.write('CONNECT payments:80 HTTP/1.1\r\nhost: payments:80\r\n\r\n');
  expect(await nextData(socket)).toBe('HTTP/1.1 200 OK\r\n\r\n');
  socket.end('ping');
  expect(await readToEnd(socket)).toBe('pingbye');
  expect(server.telemetry.opened[0]?.downstream.facts.identities).toEqual([spiffe('shop', 'web')]);
});

test('requests in a CONNECT to an HTTP service are taken out of it, each by itself', async () => {
  const { client, server } = await pair();
  const socket = await plain(client.outboundPort);
  socket.write('CONNECT payments:80 HTTP/1.1\r\nhost: payments:80\r\n\r\n');
  expect(await nextData(socket)).toBe('HTTP/1.1 200 OK\r\n\r\n');
  socket.write('GET /a HTTP/1.1\r\nhost: payments\r\n\r\n');
  expect(await nextData(socket)).toContain('"/a"');
  const last = 'GET /b HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n\r\n';
  expect(received(await exchange(socket, last)).url).toBe('/b');
  // The CONNECT is no call to the service; its requests are.
  expect(client.telemetry.ended.map(({ status }) => status)).toEqual([200, 200]);
  expect(server.telemetry.ended.map(({ status }) => status)).toEqual([200, 200]);
});

test('what is no HTTP in a CONNECT to an HTTP service is refused', async () => {
  const { client } = await pair();
  const socket = await plain(client.outboundPort);
  socket.write('CONNECT payments:80 HTTP/1.1\r\nhost: payments:80\r\n\r\n');
  expect(await nextData(socket)).toBe('HTTP/1.1 200 OK\r\n\r\n');
  socket.write('\x16\x03\x01\x00\x05hello');
  expect(await nextData(socket)).toMatch(/^HTTP\/1\.1 400 /);
});

test('CONNECT to a host outside the mesh is a tunnel as it is; to a dead one 503', async () => {
  const outside = await rig.application();
  const { client } = await pair();
  const socket = await plain(client.outboundPort);
  socket.write(`CONNECT 127.0.0.1:${outside.port} HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(await nextData(socket)).toBe('HTTP/1.1 200 OK\r\n\r\n');
  const inner = await exchange(socket, get('/inner'));
  expect(received(inner).url).toBe('/inner');
  const dead = await plain(client.outboundPort);
  const raw = `CONNECT 127.0.0.1:${await freePort()} HTTP/1.1\r\nhost: x\r\n\r\n`;
  expect((await exchange(dead, raw)).status).toBe(503);
});

test('the certificate is renewed under traffic and no call fails', async () => {
  const { client, server } = await pair();
  const statuses: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    const calls = [0, 1, 2, 3].map(() => call(client, 'http://payments/'));
    if (i % 2 === 0) client.identity.replace(await rig.svid(spiffe('shop', 'web')));
    for (const reply of await Promise.all(calls)) statuses.push(reply.status);
  }
  expect(statuses).toEqual(Array.from({ length: 24 }, () => 200));
  const hashes = new Set<string>();
  for (let i = 0; i < 2; i += 1) {
    client.identity.replace(await rig.svid(spiffe('shop', 'web')));
    const reply = await call(client, 'http://payments/');
    const header = received(reply).headers['x-forwarded-client-cert'] ?? '';
    hashes.add(/Hash=([0-9a-f]+)/.exec(header)?.[1] ?? '');
  }
  expect(hashes.size).toBe(2);
  expect(server.faults).toEqual([]);
});

test.each(['127.1', '127.0.0.2', '[::ffff:127.0.0.1]', '0', 'LOCALHOST.'])(
  'a call to the proxy itself as %s does not go round',
  async (host) => {
    const client = await rig.sidecar({ account: 'web' });
    const own = `${host}:${client.outboundPort}`;
    expect((await call(client, `http://${own}/loop`)).status).toBeGreaterThanOrEqual(502);
    const tunnel = await plain(client.outboundPort);
    const inner = `GET http://${own}/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`;
    const connect = `CONNECT ${own} HTTP/1.1\r\nhost: ${own}\r\n\r\n`;
    expect((await exchange(tunnel, connect + inner)).status).toBeGreaterThanOrEqual(502);
    // One for each call, and one that found out.
    expect(client.telemetry.ended.length).toBeLessThanOrEqual(4);
  },
);

test('a port of the sidecar itself is not reached through its proxy', async () => {
  const admin = await rig.application();
  const client = await rig.sidecar({ account: 'web' });
  client.upstreams?.ownPorts.add(admin.port);
  expect((await call(client, `http://127.0.0.1:${admin.port}/`)).status).toBe(503);
  const other = await rig.sidecar({ account: 'web' });
  expect((await call(other, `http://127.0.0.1:${admin.port}/`)).status).toBe(200);
});

test("a session is not resumed past the end of the callee's certificate", async () => {
  const { port } = await rig.application();
  const server = await rig.sidecar({ application: port });
  const service = serviceOf('payments', [{ port: server.inboundPort, identity: payments }], 'tcp');
  const client = await rig.sidecar({ ...web, services: [service] });
  const open = async (): Promise<string> => {
    const socket = await plain(client.outboundPort);
    socket.write('CONNECT payments:80 HTTP/1.1\r\nhost: payments:80\r\n\r\n');
    const head = await nextData(socket);
    const reply = head.includes(' 200 ') ? await exchange(socket, get('/')) : { status: 0 };
    socket.destroy();
    return `${head.slice(9, 12)} ${reply.status}`;
  };
  server.identity.replace(await rig.svid(payments, rig.ca, 2));
  expect(await open()).toBe('200 200');
  await sleep(2100);
  expect(await open()).toBe('503 0');
  expect(client.telemetry.ended.at(-1)?.details).toContain('certificate has expired');
});
