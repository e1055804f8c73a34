// Calls made for real, to a server that is no sidecar.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { startApplication } from '#cli/replay/application.ts';
import { createCertificates } from '#cli/replay/certificates.ts';
import { observe } from '#cli/replay/observe.ts';
import { type Destination, send } from '#cli/replay/wire-client.ts';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));
const certificates = await createCertificates();

async function serve(serveOne: (socket: Socket) => void): Promise<Destination> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    serveOne(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return to((server.address() as AddressInfo).port);
}

function to(port: number): Destination {
  return {
    port,
    identity: 'spiffe://cluster.local/ns/a/sa/b',
    serverName: 'x',
    clientContext: (identity) => certificates.clientContext(identity),
  };
}

function call(ip: string, more = {}): Parameters<typeof send>[0] {
  return { source: { identity: null, ip }, destination: { ip: '10.0.0.1', port: 1 }, ...more };
}

test('a call comes from the recorded address, and the application tells what arrived', async () => {
  const application = await startApplication();
  closers.push(() => application.close());
  const sent = await send(call('127.0.3.255', { path: '/é' }), to(application.port));
  expect(sent.address).toBe('127.0.3.255');
  expect(sent.ends).toMatchObject({
    from: expect.stringMatching(/^127\.0\.3\.255:\d+$/),
    to: `127.0.0.1:${application.port}`,
  });
  // Nothing that reads HTTP was in between.
  expect(observe(sent.reply, null)).toMatchObject({ decision: 'allow', protocol: 'tcp' });
});

test('an address that cannot be sent from is replaced, and told', async () => {
  const { address, reply } = await send(call('192.0.2.1'), await serve((socket) => socket.end()));
  expect(address).toBe('127.0.0.1');
  expect(reply.kind).toBe('closed');
});

test('bytes are echoed, closed without a word, or cut', async () => {
  const application = await startApplication();
  closers.push(() => application.close());
  const bytes = call('127.0.0.1', { kind: 'tcp' });
  expect((await send(bytes, to(application.port))).reply).toEqual({ kind: 'echo' });
  const reset = await serve((socket) => socket.resetAndDestroy());
  expect((await send(bytes, reset)).reply.kind).toBe('closed');
  const partial = await serve((socket) => socket.end('recor'));
  expect((await send(bytes, partial)).reply).toMatchObject({
    kind: 'closed',
    reason: expect.stringContaining('recor'),
  });
});

test('nobody there, and a peer that speaks no TLS, are closed too', async () => {
  const gone = await serve(() => undefined);
  closers.splice(0).forEach((close) => close());
  expect(await send(call('127.0.0.1'), gone)).toMatchObject({ reply: { kind: 'closed' } });
  const source = { identity: 'a/ns/b/sa/c', ip: '127.0.0.1' };
  const plain = await serve((socket) => socket.pipe(socket));
  expect((await send(call('127.0.0.1', { source }), plain)).reply.kind).toBe('closed');
});
