import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { freePort } from '#test/free-port.ts';

import { plain, Rig, serviceOf, spiffe, strict, type TestSidecar } from './rig.ts';
import {
  bytesServer,
  dial,
  echoUntilEnd,
  nextBytes,
  readWhole,
  tlsServer,
  until,
} from './servers.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

interface Pair {
  readonly client: TestSidecar;
  readonly server: TestSidecar;
  readonly port: number;
}

/** Two sidecars under STRICT between a client and a service of bytes. */
async function pair(serve: (socket: Socket) => void): Promise<Pair> {
  const application = await bytesServer(rig, serve);
  const server = await rig.sidecar({ policies: strict, application, protocol: 'tcp' });
  const endpoint = { port: server.inboundPort, identity: spiffe('shop', 'payments') };
  const services = [serviceOf('payments', [endpoint], 'tcp')];
  const mapped = [{ host: 'payments.shop', port: 80 }];
  const client = await rig.sidecar({ account: 'web', services, mapped });
  return { client, server, port: client.mappedPorts[0] ?? 0 };
}

test('the end of either side reaches the other, and the way back stays open', async () => {
  const { client, server, port } = await pair(echoUntilEnd);
  const socket = await dial(port);
  socket.end('question');
  expect(await readWhole(socket)).toEqual({ text: 'questionbye', how: 'end' });
  // The other way round: the server has said all, and still hears.
  let heard = '';
  const reverse = await pair((accepted) => {
    accepted.end('all');
    accepted.on('data', (bytes: Buffer) => (heard += String(bytes)));
  });
  const other = await dial(reverse.port);
  let told = '';
  other.on('data', (bytes: Buffer) => (told += String(bytes)));
  await once(other, 'end');
  expect(told).toBe('all');
  other.write('still ');
  other.end('here');
  await until(() => heard === 'still here');
  for (const sidecar of [client, server, reverse.client, reverse.server]) {
    await until(() => sidecar.telemetry.closed.length === 1);
    expect(sidecar.telemetry.closed[0]).toMatchObject({ flag: '-', details: '' });
    expect(sidecar.connections.size + sidecar.outboundConnections.size).toBe(0);
  }
});

test('a sender of one byte at a time is heard byte for byte', async () => {
  const { port } = await pair(echoUntilEnd);
  const socket = await dial(port);
  const text = 'one byte after the other';
  for (const character of text) {
    socket.write(character);
    expect(String(await nextBytes(socket))).toBe(character);
  }
  socket.end();
  expect(await readWhole(socket)).toEqual({ text: 'bye', how: 'end' });
});

test.each(['the server', 'the client'])(
  'a reset by %s is a reset at the other end',
  async (who) => {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const { client, server, port } = await pair(resolve);
    const near = await dial(port);
    const far = await promise;
    const [breaks, hears] = who === 'the server' ? [far, near] : [near, far];
    breaks.write('half of it');
    let text = '';
    const begun = once(hears, 'data').then(([bytes]) => (text = String(bytes)));
    await begun;
    const whole = readWhole(hears);
    breaks.resetAndDestroy();
    expect(await whole).toEqual({ text: '', how: 'ECONNRESET' });
    expect(text).toBe('half of it');
    const flag = who === 'the server' ? 'UC' : 'DC';
    const details = who === 'the server' ? 'upstream_reset' : 'downstream_reset';
    for (const sidecar of [client, server]) {
      await until(() => sidecar.telemetry.closed.length === 1);
      expect(sidecar.telemetry.closed[0]).toMatchObject({ flag, details });
    }
  },
);

test('a sidecar that closes a connection cuts it off for both ends', async () => {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const { server, port } = await pair(resolve);
  const near = await dial(port);
  const far = await promise;
  const ends = [readWhole(near), readWhole(far)];
  await server.connections.drain(0);
  expect((await Promise.all(ends)).map(({ how }) => how)).toEqual(['ECONNRESET', 'ECONNRESET']);
});

test('an application that does not listen is a reset to the client', async () => {
  const application = await freePort();
  const gone = await rig.sidecar({ policies: strict, application, protocol: 'tcp' });
  const endpoint = { port: gone.inboundPort, identity: spiffe('shop', 'payments') };
  const services = [serviceOf('payments', [endpoint], 'tcp')];
  const mapped = [{ host: 'payments', port: 80 }];
  const caller = await rig.sidecar({ account: 'web', services, mapped });
  const socket = await dial(caller.mappedPorts[0] ?? 0);
  expect(await readWhole(socket)).toEqual({ text: '', how: 'ECONNRESET' });
  expect(gone.telemetry.closed).toMatchObject([{ flag: 'UF' }]);
});

test('a slow reader holds the sender back through both sidecars, and every byte arrives', async () => {
  const total = 128 * 1024 * 1024;
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let sent = 0;
  const { port } = await pair((socket) => {
    const send = (): void => {
      while (sent < total) {
        sent += chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.end();
    };
    socket.on('drain', send);
    send();
  });
  const socket = await dial(port);
  socket.pause();
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((done) => setTimeout(done, 150));
  }
  // What the kernels' buffers of three connections hold, and next to nothing in the sidecars.
  expect(sent).toBeLessThan(total);
  let got = 0;
  socket.on('data', (bytes: Buffer) => (got += bytes.length)).resume();
  await once(socket, 'end');
  expect(got).toBe(total);
  socket.end();
});

test('TLS of its own passes a PERMISSIVE port as it is: server name, ALPN and certificate', async () => {
  const application = await tlsServer(rig);
  for (const protocol of ['http', 'tcp', 'tls', 'detect'] as const) {
    const server = await rig.sidecar({ application: application.port, protocol });
    const socket = connectTls({
      port: server.inboundPort,
      host: '127.0.0.1',
      servername: 'own.example.com',
      ALPNProtocols: ['h2'],
      ca: application.certificate.caPem,
      checkServerIdentity: () => undefined,
    });
    expect(String(await nextBytes(socket))).toBe('own.example.com h2;');
    expect(socket.authorized).toBe(true);
    socket.end();
    await until(() => server.telemetry.closed.length === 1);
    expect(server.telemetry.closed[0]?.downstream.facts).toMatchObject({
      sni: 'own.example.com',
      mtls: false,
    });
  }
});

test('a short word and an end on a port without a protocol are bytes, not lost', async () => {
  const application = await bytesServer(rig, echoUntilEnd);
  const server = await rig.sidecar({ application, protocol: 'detect' });
  const socket = await plain(server.inboundPort);
  socket.end('PING');
  expect(await readWhole(socket)).toEqual({ text: 'PINGbye', how: 'end' });
});
