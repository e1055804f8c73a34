import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { issue, makeTestCa, type Issued } from '#test/tls/fixtures.ts';

import { exchange, get, mutual, plain, Rig, spiffe, type TestSidecar } from '../rig.ts';

let rig: Rig;
let sidecar: TestSidecar;

beforeEach(async () => {
  rig = await Rig.create();
  const application = await rig.application();
  sidecar = await rig.sidecar({ application: application.port });
});
afterEach(() => rig.close());

/** The first flight of a client, as far as its own kernel: bytes of a real hello. */
async function captureHello(): Promise<Buffer> {
  const parts: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => parts.push(bytes));
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['istio'] });
  client.on('error', () => undefined);
  for (let i = 0; i < 100 && parts.length === 0; i += 1) await sleep(5);
  client.destroy();
  server.close();
  return Buffer.concat(parts);
}

async function stillServes(): Promise<boolean> {
  const client = await rig.issued(spiffe('shop', 'web'));
  const reply = await exchange(await mutual(sidecar.inboundPort, client), get('/'));
  return reply.status === 200;
}

test('a hello in single bytes is read like one in a packet', async () => {
  const client = await rig.issued(spiffe('shop', 'web'));
  const { port, server } = await slowPipe(sidecar.inboundPort);
  rig.onClose(() => server.close());
  const reply = await exchange(await mutual(port, client), get('/slow'));
  expect(reply.status).toBe(200);
});

test.each(['end', 'reset'])(
  'a client that goes away in the handshake (%s) is forgotten',
  async (how) => {
    const hello = await captureHello();
    for (let i = 0; i < 20; i += 1) {
      const socket = await plain(sidecar.inboundPort);
      socket.write(hello.subarray(0, i % 2 === 0 ? hello.length : 40));
      await sleep(i % 5);
      if (how === 'end') socket.end();
      else socket.resetAndDestroy();
      socket.resume();
    }
    for (let i = 0; i < 200 && sidecar.connections.size > 0; i += 1) await sleep(10);
    expect(sidecar.connections.size).toBe(0);
    expect(await stillServes()).toBe(true);
  },
);

test('garbage after a hello is refused with the reason of TLS', async () => {
  const socket = await plain(sidecar.inboundPort);
  socket.write(await captureHello());
  socket.write(Buffer.alloc(200, 0x41));
  socket.resume();
  await new Promise((done) => socket.once('close', done).once('end', done));
  await sleep(20);
  expect(sidecar.telemetry.refused[0]?.reason).toContain('handshake failed');
  expect(await stillServes()).toBe(true);
});

test('draining in the middle of a handshake closes it', async () => {
  const hello = await captureHello();
  const socket = await plain(sidecar.inboundPort);
  socket.write(hello);
  await new Promise((done) => socket.once('data', done));
  expect(sidecar.connections.size).toBe(1);
  const closed = new Promise((done) => socket.once('close', done).once('end', done));
  await sidecar.connections.drain(0);
  socket.resume();
  await closed;
  for (let i = 0; i < 100 && sidecar.connections.size > 0; i += 1) await sleep(5);
  expect(sidecar.connections.size).toBe(0);
});

test('a resumed session still carries the identity', async () => {
  const client = await rig.issued(spiffe('shop', 'web'));
  let session: Buffer | undefined;
  const first = await mutual(sidecar.inboundPort, client);
  first.on('session', (ticket: Buffer) => (session = ticket));
  await exchange(first, get('/'));
  expect(session).toBeDefined();
  const second = await mutual(sidecar.inboundPort, client, { session });
  expect(second.isSessionReused()).toBe(true);
  const reply = await exchange(second, get('/'));
  expect(reply.body).toContain('URI=spiffe://cluster.local/ns/shop/sa/web');
});

/** A session made with the certificate of `client`. */
async function sessionOf(client: Issued): Promise<Buffer> {
  const socket = await mutual(sidecar.inboundPort, client);
  const [ticket] = (await once(socket, 'session')) as [Buffer];
  expect((await exchange(socket, get('/'))).status).toBe(200);
  return ticket;
}

test('no session is resumed once its root is trusted no more', async () => {
  const client = await rig.issued(spiffe('shop', 'web'));
  const session = await sessionOf(client);
  const { certPem: trustBundlePem } = await makeTestCa();
  sidecar.identity.replace({ ...sidecar.identity.current(), trustBundlePem });
  const second = await mutual(sidecar.inboundPort, client, { session });
  expect(second.isSessionReused()).toBe(false);
  expect((await exchange(second, get('/'))).status).toBe(0);
  expect(sidecar.telemetry.refused[0]?.reason).toContain('not verified by the trust bundle');
});

test('no session is resumed past the end of its certificate', async () => {
  const uri = spiffe('shop', 'web');
  const { keyPem, certPem } = await issue(rig.ca, { uri, lifeSeconds: 2 });
  const client = { keyPem, certPem, caPem: rig.ca.certPem };
  const session = await sessionOf(client);
  await sleep(2100);
  const second = await mutual(sidecar.inboundPort, client, { session });
  expect((await exchange(second, get('/'))).status).toBe(0);
  expect(sidecar.telemetry.refused.at(-1)?.reason).toBe("the peer's certificate has expired");
});

test('a resumed session is judged by what is in force, not by what was', async () => {
  const client = await rig.issued(spiffe('shop', 'web', 'other.domain'));
  sidecar.apply({ mesh: { trustDomainAliases: ['other.domain'] } });
  const session = await sessionOf(client);
  sidecar.apply({ mesh: {} });
  const second = await mutual(sidecar.inboundPort, client, { session });
  expect((await exchange(second, get('/'))).status).toBe(0);
  expect(sidecar.telemetry.refused.at(-1)?.reason).toContain('trusted domains are');
});

test('an unknown protocol within TLS is not negotiated, and not refused either', async () => {
  const client = await rig.issued(spiffe('shop', 'web'));
  sidecar.apply({
    policies: `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`,
  });
  const socket = await mutual(sidecar.inboundPort, client, { ALPNProtocols: ['something/1'] });
  expect(socket.alpnProtocol).toBe(false);
  expect((await exchange(socket, get('/'))).status).toBe(200);
});

/** Passes what clients send on in single bytes. */
async function slowPipe(to: number): Promise<{ port: number; server: { close(): unknown } }> {
  const server = createServer((client) => {
    const upstream = connectTcp({ port: to, host: '127.0.0.1', noDelay: true });
    const drop = (): void => {
      client.destroy();
      upstream.destroy();
    };
    client.on('error', drop).on('close', drop);
    upstream.on('error', drop).on('close', drop);
    upstream.on('data', (bytes: Buffer) => client.write(bytes));
    let queue = Promise.resolve();
    let sent = 0;
    client.on('data', (bytes: Buffer) => {
      queue = queue.then(async () => {
        for (const byte of bytes) {
          upstream.write(Buffer.from([byte]));
          sent += 1;
          if (sent < 300 && sent % 3 === 0) await new Promise((done) => setImmediate(done));
        }
        return undefined;
      });
    });
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, server };
}
