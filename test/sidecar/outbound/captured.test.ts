import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';
import type { OriginalDestination } from '#sidecar/outbound/original-destination.ts';
import { freePort } from '#test/free-port.ts';

import {
  exchange,
  get,
  inTurn,
  received,
  Rig,
  serviceOf,
  spiffe,
  strict,
  type SidecarOptions,
  type TestSidecar,
} from '../rig.ts';
import {
  bytesServer,
  dial,
  echoUntilEnd,
  mysql,
  nextBytes,
  readWhole,
  serveMysql,
  serveSmtp,
  tlsServer,
  until,
} from '../servers.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const web = { account: 'web' };
const vip = '10.96.0.7';
/** Sniffing, but quick, so that a test of its end does not take seconds. */
const quick = { mesh: { protocolDetectionTimeout: '60ms' } };

/** A service at a cluster address. */
function at(service: Service, address = vip): Service {
  return { ...service, addresses: [address] };
}

/** A sidecar whose captured connections all were to go to one place. */
function capturing(
  to: OriginalDestination,
  services: readonly Service[] = [],
  options: SidecarOptions = {},
): Promise<TestSidecar> {
  return rig.sidecar({ ...web, ...options, services, originalDestination: () => to });
}

/** Client sidecar, server sidecar, application: connections to the client's captured port go there. */
async function pair(
  application: number,
  protocol: PortProtocol,
  options: SidecarOptions = {},
): Promise<{ client: TestSidecar; server: TestSidecar }> {
  const server = await rig.sidecar({ policies: strict, ...options, application, protocol });
  const endpoint = { port: server.inboundPort, identity: spiffe('shop', 'payments') };
  const services = [at(serviceOf('payments', [endpoint], protocol))];
  const client = await capturing({ host: vip, port: 80 }, services, options);
  return { client, server };
}

test.each(['STRICT', 'PERMISSIVE', 'plaintext'])(
  'a server that speaks first is not delayed (%s)',
  async (mode) => {
    const application = await bytesServer(rig, serveMysql);
    const policies = strict.replace('STRICT', mode === 'plaintext' ? 'DISABLE' : mode);
    const server = await rig.sidecar({ policies, application, protocol: 'tcp' });
    const identity = mode === 'plaintext' ? null : spiffe('shop', 'payments');
    const service = at(serviceOf('mysql', [{ port: server.inboundPort, identity }], 'tcp'));
    const client = await capturing({ host: vip, port: 80 }, [service]);
    const startedAtMs = performance.now();
    const socket = await dial(client.capturedPort);
    expect(await nextBytes(socket)).toEqual(mysql.greeting);
    expect(performance.now() - startedAtMs).toBeLessThan(500);
    socket.write(mysql.login);
    expect(await nextBytes(socket)).toEqual(mysql.ok);
    socket.end();
    await until(() => client.telemetry.closed.length === 1);
    expect(client.telemetry.closed[0]).toMatchObject({
      flag: '-',
      details: '',
      receivedBytes: mysql.login.length,
      sentBytes: mysql.greeting.length + mysql.ok.length,
      service: { name: 'mysql' },
      servicePort: 80,
      endpoint: { workload: 'mysql' },
      downstream: { direction: 'outbound', localAddress: vip, localPort: 80 },
    });
    expect(client.outboundConnections.size).toBe(0);
  },
);

test('a mail goes through SMTP on a mapped port', async () => {
  const application = await bytesServer(rig, serveSmtp);
  const server = await rig.sidecar({ policies: strict, application, protocol: 'tcp' });
  const endpoint = { port: server.inboundPort, identity: spiffe('shop', 'payments') };
  const services = [serviceOf('mail', [endpoint], 'tcp')];
  const client = await rig.sidecar({ ...web, services, mapped: [{ host: 'mail', port: 80 }] });
  const socket = await dial(client.mappedPorts[0] ?? 0);
  expect(String(await nextBytes(socket))).toMatch(/^220 /);
  for (const line of ['EHLO web', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) {
    socket.write(`${line}\r\n`);
    expect(String(await nextBytes(socket))).toBe('250 ok\r\n');
  }
  socket.write('DATA\r\n');
  expect(String(await nextBytes(socket))).toMatch(/^354 /);
  socket.write('hello\r\n.\r\n');
  expect(String(await nextBytes(socket))).toBe('250 ok\r\n');
  socket.write('QUIT\r\n');
  expect(await readWhole(socket)).toEqual({ text: '221 bye\r\n', how: 'end' });
  expect(server.telemetry.opened[0]?.downstream.facts.identities).toEqual([spiffe('shop', 'web')]);
});

test('TLS of the application passes both sidecars inside mutual TLS, server name and ALPN kept', async () => {
  const application = await tlsServer(rig);
  const { client, server } = await pair(application.port, 'tls');
  const socket = connectTls({
    port: client.capturedPort,
    host: '127.0.0.1',
    servername: 'db.example.com',
    ALPNProtocols: ['h2'],
    ca: application.certificate.caPem,
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  expect(socket.alpnProtocol).toBe('h2');
  expect(String(await nextBytes(socket))).toBe('db.example.com h2;');
  socket.write('ping');
  expect(String(await nextBytes(socket))).toBe('ping');
  socket.end();
  await until(() => client.telemetry.closed.length === 1 && server.telemetry.closed.length === 1);
  expect(client.telemetry.closed[0]?.downstream.facts.sni).toBe('db.example.com');
  expect(server.telemetry.closed[0]?.downstream.facts.mtls).toBe(true);
});

test('TLS to an address that no service has finds its service by the server name', async () => {
  const application = await tlsServer(rig);
  const service = serviceOf('db', [{ port: application.port }], 'tls');
  const entry = { ...service, hosts: ['db.example.com'] };
  const dead = { host: '127.0.0.1', port: 80 };
  const client = await capturing(dead, [entry]);
  const call = async (servername: string): Promise<string> => {
    const socket = connectTls({
      port: client.capturedPort,
      host: '127.0.0.1',
      servername,
      ca: application.certificate.caPem,
      checkServerIdentity: () => undefined,
    });
    socket.on('error', () => undefined);
    const { text } = await readWhole(socket.once('data', () => socket.end()));
    return text;
  };
  expect(await call('DB.example.com')).toBe('DB.example.com false;');
  // Nobody listens at the address itself.
  expect(await call('other.example.com')).toBe('');
  await until(() => client.telemetry.closed.length === 2);
  expect(client.telemetry.closed).toMatchObject([
    { service: { name: 'db' }, flag: '-' },
    { service: null, flag: 'UF', upstreamAddress: '127.0.0.1:80' },
  ]);
});

test('requests to a port declared HTTP are routed by their Host among the services on that port', async () => {
  const payments = await rig.application((_q, s) => s.end('payments'));
  const orders = await rig.application((_q, s) => s.end('orders'));
  const services = [
    at(serviceOf('payments', [{ port: payments.port }])),
    serviceOf('orders', [{ port: orders.port }]),
    serviceOf('mysql', [{ port: await freePort() }], 'tcp'),
  ];
  const client = await capturing({ host: vip, port: 80 }, services);
  const call = async (host: string): Promise<string> =>
    (await exchange(await dial(client.capturedPort), get('/', '', host))).body;
  expect(await call('payments')).toBe('payments');
  expect(await call('orders.shop')).toBe('orders');
  // The port of the connection decides, as in Istio.
  expect(await call('orders.shop:9999')).toBe('orders');
  // Nobody's here: where the connection was to go.
  for (const host of ['www.example.com', 'mysql', vip, `${vip}:80`, '[::1]']) {
    expect(await call(host)).toBe('payments');
  }
  expect(client.telemetry.ended).toHaveLength(8);
});

test('a mapped port of an HTTP service serves requests, whatever they call it', async () => {
  const { port } = await rig.application();
  const services = [serviceOf('payments', [{ port }])];
  const mapped = [{ host: 'payments.shop', port: 80 }];
  const client = await rig.sidecar({ ...web, services, mapped });
  const reply = await exchange(await dial(client.mappedPorts[0] ?? 0), get('/', '', 'localhost:1'));
  expect(received(reply).headers).toMatchObject({
    host: 'localhost:1',
    'x-request-id': expect.any(String),
  });
  expect(client.telemetry.ended).toMatchObject([{ status: 200 }]);
});

test('a program that asks somebody else for a tunnel does not get one here', async () => {
  const application = await rig.application();
  const { client } = await pair(application.port, 'http');
  const connect = 'CONNECT payments:80 HTTP/1.1\r\nhost: payments:80\r\nconnection: close\r\n\r\n';
  expect((await exchange(await dial(client.capturedPort), connect)).status).toBe(404);
});

test('a request whose endpoint is down is retried at another', async () => {
  const alive = await rig.application((q, s) => s.end(q.headers['x-envoy-attempt-count']));
  const endpoints = [{ port: await freePort() }, { port: alive.port }];
  const services = [at(serviceOf('payments', endpoints))];
  const client = await capturing({ host: vip, port: 80 }, services, { traffic: inTurn });
  const bodies: string[] = [];
  // Either endpoint is as likely to be the first: that all of 64 begin with the same one happens never.
  for (let i = 0; i < 64; i += 1) {
    bodies.push((await exchange(await dial(client.capturedPort), get('/'))).body);
  }
  expect(new Set(bodies)).toEqual(new Set(['1', '2']));
});

test('where nothing is declared HTTP is served as HTTP, TLS and other bytes as they are', async () => {
  const application = await rig.application();
  const { client } = await pair(application.port, 'detect');
  const reply = await exchange(await dial(client.capturedPort), get('/a'));
  expect(received(reply)).toMatchObject({ url: '/a', headers: { 'x-envoy-attempt-count': '1' } });
  expect(client.telemetry.ended).toMatchObject([{ status: 200 }]);
  const bytes = await bytesServer(rig, echoUntilEnd);
  const other = await pair(bytes, 'detect');
  const socket = await dial(other.client.capturedPort);
  socket.end('\x01\x02\x03');
  expect(await readWhole(socket)).toEqual({ text: '\x01\x02\x03bye', how: 'end' });
  // A word that may yet become a request, and then nothing more.
  const word = await dial(other.client.capturedPort);
  word.end('PING');
  expect(await readWhole(word)).toEqual({ text: 'PINGbye', how: 'end' });
  const tls = await tlsServer(rig);
  const secure = await pair(tls.port, 'detect');
  const tunnel = connectTls({
    port: secure.client.capturedPort,
    host: '127.0.0.1',
    servername: 'db.example.com',
    rejectUnauthorized: false,
  });
  expect(String(await nextBytes(tunnel))).toBe('db.example.com false;');
  tunnel.destroy();
});

test.each([undefined, '0s'])(
  'where nothing is declared a server that speaks first is heard soon (timeout %s)',
  async (protocolDetectionTimeout) => {
    const application = await bytesServer(rig, serveMysql);
    const mesh = protocolDetectionTimeout === undefined ? {} : { protocolDetectionTimeout };
    const { client } = await pair(application, 'detect', { mesh });
    const startedAtMs = performance.now();
    const socket = await dial(client.capturedPort);
    expect(await nextBytes(socket)).toEqual(mysql.greeting);
    expect(performance.now() - startedAtMs).toBeLessThan(1500);
    socket.write(mysql.login);
    expect(await nextBytes(socket)).toEqual(mysql.ok);
    socket.end();
    await until(() => client.telemetry.closed.length === 1);
    expect(client.telemetry.closed[0]).toMatchObject({ receivedBytes: mysql.login.length });
  },
);

test('a server that ends without a word is heard too', async () => {
  const port = await bytesServer(rig, (socket) => socket.end());
  const client = await capturing({ host: '127.0.0.1', port });
  expect(await readWhole(await dial(client.capturedPort))).toEqual({ text: '', how: 'end' });
});

test('a client that is slow to speak HTTP is served as HTTP, and its way that was opened ahead is gone', async () => {
  const application = await rig.application();
  const { client, server } = await pair(application.port, 'detect');
  const socket = await dial(client.capturedPort);
  await until(() => server.telemetry.opened.length === 1);
  const reply = await exchange(socket, get('/late'));
  expect(received(reply).url).toBe('/late');
  expect(client.telemetry.ended).toMatchObject([{ status: 200 }]);
  expect(client.telemetry.opened).toEqual([]);
  await until(() => server.telemetry.closed.length === 1);
  expect(server.telemetry.closed[0]).toMatchObject({ receivedBytes: 0, sentBytes: 0 });
});

test('whoever is silent for as long as the detection timeout is read as bytes from then on', async () => {
  const application = await rig.application();
  const { client, server } = await pair(application.port, 'detect', quick);
  const socket = await dial(client.capturedPort);
  await until(() => client.telemetry.opened.length === 1);
  expect((await exchange(socket, get('/late'))).status).toBe(200);
  expect(client.telemetry.ended).toEqual([]);
  expect(server.connections.size).toBeLessThanOrEqual(1);
});

test('a detection timeout of 0s waits for ever where both ends are silent', async () => {
  const application = await rig.application();
  const forEver = { mesh: { protocolDetectionTimeout: '0s' } };
  const { client, server } = await pair(application.port, 'detect', forEver);
  const socket = await dial(client.capturedPort);
  await until(() => server.connections.size === 1);
  await new Promise((done) => setTimeout(done, 100));
  expect(client.telemetry.opened).toEqual([]);
  expect((await exchange(socket, get('/late'))).status).toBe(200);
  expect(client.telemetry.ended).toMatchObject([{ status: 200 }]);
});

test('what no service has goes where it was to go, and HTTP there is observed', async () => {
  const application = await rig.application();
  const client = await capturing({ host: '127.0.0.1', port: application.port });
  const reply = await exchange(await dial(client.capturedPort), get('/out', '', 'example.com'));
  expect(received(reply)).toMatchObject({ url: '/out', headers: { host: 'example.com' } });
  expect(client.telemetry.ended).toMatchObject([{ status: 200, failure: '' }]);
  const port = await bytesServer(rig, echoUntilEnd);
  const bytes = await capturing({ host: '127.0.0.1', port });
  const socket = await dial(bytes.capturedPort);
  socket.end('\0\0');
  expect(await readWhole(socket)).toEqual({ text: '\0\0bye', how: 'end' });
  await until(() => bytes.telemetry.closed.length === 1);
  expect(bytes.telemetry.closed[0]).toMatchObject({
    service: null,
    upstreamAddress: `127.0.0.1:${port}`,
    flag: '-',
  });
});

test('a pod of a headless service is called by its own address, with mutual TLS', async () => {
  const bodies = ['one', 'two'];
  const identity = spiffe('shop', 'payments');
  const servers = await Promise.all(
    bodies.map(async (body) => {
      const { port } = await rig.application((_q, s) => s.end(body));
      return rig.sidecar({ application: port, policies: strict });
    }),
  );
  const ports = servers.map(({ inboundPort }) => inboundPort);
  const to = { host: '127.0.0.1', port: ports[1] ?? 0 };
  const service = serviceOf(
    'payments',
    ports.map((port) => ({ port, identity })),
  );
  const client = await capturing(to, [service]);
  for (let i = 0; i < 4; i += 1) {
    const host = i % 2 === 0 ? 'payments-1.payments.shop' : '127.0.0.1';
    const reply = await exchange(await dial(client.capturedPort), get('/', '', host));
    expect(reply.body).toBe('two');
  }
  const statuses = servers[1]?.telemetry.ended.map(({ status }) => status);
  expect(statuses).toEqual([200, 200, 200, 200]);
  // With an address of its own a service is not headless: its pods are strangers, as in Istio.
  client.apply({ services: [at(service)] });
  expect((await exchange(await dial(client.capturedPort), get('/'))).status).toBe(503);
});

test('a pod of a headless service that speaks bytes first is heard at once', async () => {
  const application = await bytesServer(rig, serveMysql);
  const server = await rig.sidecar({ application, protocol: 'tcp', policies: strict });
  const endpoints = [
    { port: await freePort(), identity: spiffe('shop', 'payments') },
    { port: server.inboundPort, identity: spiffe('shop', 'payments') },
  ];
  const to = { host: '127.0.0.1', port: server.inboundPort };
  const client = await capturing(to, [serviceOf('db', endpoints, 'tcp')]);
  for (let i = 0; i < 3; i += 1) {
    const socket = await dial(client.capturedPort);
    expect(await nextBytes(socket)).toEqual(mysql.greeting);
    socket.destroy();
  }
  to.port = endpoints[0]?.port ?? 0;
  expect((await readWhole(await dial(client.capturedPort))).how).toBe('ECONNRESET');
  await until(() => client.telemetry.closed.length === 4);
  const failed = client.telemetry.closed.find(({ flag }) => flag === 'UF');
  expect(failed).toMatchObject({ attempts: 1 });
});

test('a connection that was to go to the sidecar itself does not go round', async () => {
  const to = { host: '127.0.0.1', port: 0 };
  const client = await capturing(to, [], quick);
  to.port = client.capturedPort;
  const bytes = await dial(client.capturedPort);
  bytes.write('\0');
  expect(await readWhole(bytes)).toEqual({ text: '', how: 'ECONNRESET' });
  const http = await exchange(await dial(client.capturedPort), get('/'));
  expect(http.status).toBe(503);
  expect(client.telemetry.closed).toMatchObject([
    { flag: 'UF', details: 'upstream_connect_failed{a call to the sidecar itself}' },
  ]);
});

test('a connection that was not captured is refused', async () => {
  const client = await rig.sidecar({ ...web, originalDestination: () => null });
  const { how } = await readWhole(await dial(client.capturedPort));
  expect(how).toBe('ECONNRESET');
  expect(client.telemetry.refused[0]?.reason).toContain('not captured');
});

test('a connection that does not open takes another endpoint, and its end says what was wrong', async () => {
  const alive = await bytesServer(rig, (socket) => socket.end('hello'));
  const dead = await freePort();
  const to = { host: 'web', port: 80 };
  const endpoints = [{ port: dead }, { port: alive }];
  const client = await capturing(to, [serviceOf('web', endpoints, 'tcp')]);
  for (let i = 0; i < 4; i += 1) {
    expect(await readWhole(await dial(client.capturedPort))).toMatchObject({ text: 'hello' });
  }
  client.apply({ services: [serviceOf('web', [{ port: dead }], 'tcp')] });
  expect((await readWhole(await dial(client.capturedPort))).how).toBe('ECONNRESET');
  client.apply({ services: [serviceOf('web', [], 'tcp')] });
  expect((await readWhole(await dial(client.capturedPort))).how).toBe('ECONNRESET');
  to.port = 81;
  expect((await readWhole(await dial(client.capturedPort))).how).toBe('ECONNRESET');
  expect(client.telemetry.closed.slice(-3)).toMatchObject([
    {
      flag: 'UF',
      details: `upstream_connect_failed{connect ECONNREFUSED 127.0.0.1:${dead}}`,
      upstreamAddress: `127.0.0.1:${dead}`,
    },
    { flag: 'UH', details: 'no_healthy_upstream', upstreamAddress: '' },
    { flag: 'NR', details: 'route_not_found{the service has no such port}' },
  ]);
  await until(() => client.telemetry.closed.length === 7);
  expect(client.telemetry.opened).toHaveLength(7);
});

test('an impostor at the address of a service gets not one byte', async () => {
  const application = await bytesServer(rig, echoUntilEnd);
  const impostor = await rig.sidecar({ application, protocol: 'tcp', account: 'impostor' });
  const endpoint = { port: impostor.inboundPort, identity: spiffe('shop', 'payments') };
  const services = [at(serviceOf('payments', [endpoint], 'tcp'))];
  const client = await capturing({ host: vip, port: 80 }, services);
  const socket = await dial(client.capturedPort);
  socket.write('secret');
  expect(await readWhole(socket)).toEqual({ text: '', how: 'ECONNRESET' });
  expect(client.telemetry.closed[0]?.details).toContain('sa/impostor, wanted');
  expect(impostor.telemetry.closed.map(({ receivedBytes }) => receivedBytes)).not.toContain(6);
});

test('what an application leaves before it is connected is told as its leaving', async () => {
  // An endpoint that takes the connection and never answers the hello of mutual TLS.
  const silent = await bytesServer(rig, (socket) => socket.resume());
  const endpoint = { port: silent, identity: spiffe('shop', 'payments') };
  const services = [at(serviceOf('payments', [endpoint], 'tcp'))];
  const client = await capturing({ host: vip, port: 80 }, services);
  const socket = await dial(client.capturedPort);
  await until(() => client.outboundConnections.size === 1);
  socket.resetAndDestroy();
  await until(() => client.telemetry.closed.length === 1);
  expect(client.telemetry.closed[0]).toMatchObject({ flag: 'DC' });
  expect(client.outboundConnections.size).toBe(0);
});

test('draining lets bytes go on until its end, then resets what is left', async () => {
  const application = await bytesServer(rig, echoUntilEnd);
  const { client } = await pair(application, 'tcp');
  const busy = await dial(client.capturedPort);
  const short = await dial(client.capturedPort);
  for (const socket of [busy, short]) {
    socket.write('a');
    expect(String(await nextBytes(socket))).toBe('a');
  }
  const drained = client.outboundConnections.drain(300);
  short.end('b');
  expect(await readWhole(short)).toEqual({ text: 'bbye', how: 'end' });
  expect((await readWhole(busy)).how).toBe('ECONNRESET');
  await drained;
  await until(() => client.outboundConnections.size === 0);
});
