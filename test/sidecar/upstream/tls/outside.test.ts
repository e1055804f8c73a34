import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { createServer as createTcp, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, createServer, TLSSocket, type TlsOptions } from 'node:tls';

import { afterAll, expect, test } from 'vitest';

import type { Endpoint } from '#api/snapshot.ts';
import type { TrafficPolicy } from '#api/traffic/destination.ts';
import { silentLog } from '#runtime/log.ts';
import { emptySlot, UpstreamTls } from '#sidecar/upstream/tls-context.ts';
import { Way, type Purpose } from '#sidecar/upstream/way.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { Rig, spiffe } from '../../rig.ts';

const rig = await Rig.create();
const mesh = new UpstreamTls(await rig.svid(spiffe('shop', 'web')));
const ca = await makeTestCa();
const server = await issue(ca, { dns: ['api.example.com'], uri: 'spiffe://other/api' });
const client = await issue(ca, { commonName: 'client', dns: ['client'] });
const folder = mkdtempSync(join(tmpdir(), 'selvage-outside-'));
const closers: (() => void)[] = [];

afterAll(() => {
  for (const close of closers) close();
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  // As mounted Secrets are: replaced whole.
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}

const caFile = file('ca.pem', ca.certPem);

/** Echoes the server name, the protocol and the client's name. */
async function outside(options: TlsOptions = {}): Promise<number> {
  const made = createServer(
    { key: server.keyPem, cert: server.certPem, ALPNProtocols: ['h2', 'http/1.1'], ...options },
    (socket) => {
      const peer = socket.getPeerCertificate().subject?.CN ?? 'nobody';
      const { servername, alpnProtocol } = socket as TLSSocket & { servername: string };
      socket.on('error', () => undefined);
      socket.end(`${servername} ${String(alpnProtocol)} ${String(peer)}`);
    },
  );
  made.on('tlsClientError', () => undefined);
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  closers.push(() => void made.close());
  return (made.address() as AddressInfo).port;
}

function wayOf(
  policy: TrafficPolicy,
  host = 'api.example.com',
  subjectAltNames: string[] = [],
): Way {
  return new Way(
    mesh,
    { host, meshName: 'outbound_.443_._.x', subjectAltNames },
    policy,
    silentLog,
  );
}

const endpointAt = (port: number, identity: string | null = null): Endpoint => ({
  address: '127.0.0.1',
  port,
  identity,
  workload: '',
  namespace: '',
  labels: {},
});

/** What came, or why nothing did. */
function heard(way: Way, port: number, purpose: Purpose = 'tcp'): Promise<string> {
  const socket = way.open(endpointAt(port), { purpose, slot: emptySlot(), proxied: null });
  return textOf(socket);
}

function textOf(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('end', () => resolve(text));
  socket.on('error', (error) => resolve(`error: ${error.message}`));
  return promise.finally(() => socket.destroy());
}

test('simple: the name that was called is said and must be proven', async () => {
  const port = await outside();
  const way = wayOf({ tls: { mode: 'simple', caFile } });
  expect(await heard(way, port, 'http')).toBe('api.example.com h2 nobody');
  expect(await heard(way, port, 'http1')).toBe('api.example.com http/1.1 nobody');
  const other = wayOf({ tls: { mode: 'simple', caFile } }, 'other.example.com');
  expect(await heard(other, port)).toContain('error: Hostname/IP does not match');
});

test('another server name, names of the certificate, or no check at all', async () => {
  const port = await outside();
  const simple = { mode: 'simple', caFile } as const;
  const named = wayOf({ tls: { ...simple, sni: 'api.example.com' } }, 'elsewhere');
  expect(await heard(named, port)).toContain('api.example.com');
  const spiffeName = { ...simple, subjectAltNames: ['no.example.com', 'spiffe://other/api'] };
  expect(await heard(wayOf({ tls: spiffeName }, 'elsewhere'), port)).toContain('elsewhere');
  const ofService = wayOf({ tls: simple }, 'elsewhere', ['api.example.com']);
  expect(await heard(ofService, port)).toContain('elsewhere');
  const wrong = { ...simple, subjectAltNames: ['spiffe://other/other'] };
  expect(await heard(wayOf({ tls: wrong }), port)).toContain('wanted spiffe://other/other');
  expect(await heard(wayOf({ tls: { mode: 'simple' } }), port)).toContain('error:');
  const unchecked = { mode: 'simple', skipVerify: true } as const;
  expect(await heard(wayOf({ tls: unchecked }, 'elsewhere'), port)).toContain('elsewhere');
});

test('mutual: our certificate is shown, and read again when its file changes', async () => {
  const port = await outside({ requestCert: true, rejectUnauthorized: true, ca: ca.certPem });
  const certificateFile = file('cert.pem', client.certPem);
  const keyFile = file('key.pem', client.keyPem);
  const way = wayOf({ tls: { mode: 'mutual', caFile, certificateFile, keyFile } });
  expect(await heard(way, port)).toContain(' client');
  const next = await issue(ca, { commonName: 'client-2', dns: ['client'] });
  file('key.pem', next.keyPem);
  file('cert.pem', next.certPem);
  expect(await heard(way, port)).toContain(' client-2');
  file('cert.pem', 'broken');
  expect(await heard(way, port)).toContain(' client-2');
});

test('files that are not there fail the connection, and say which', () => {
  const way = wayOf({ tls: { mode: 'simple', caFile: '/nowhere/ca.pem' } });
  const opening = { purpose: 'tcp', slot: emptySlot(), proxied: null } as const;
  expect(() => way.open(endpointAt(1), opening)).toThrow('/nowhere/ca.pem');
});

test('which endpoints are meshed, and which encrypted', () => {
  const plain = endpointAt(1);
  const meshed = endpointAt(1, spiffe('shop', 'payments'));
  const kinds = (policy: TrafficPolicy) =>
    [plain, meshed].map((one) => [wayOf(policy).meshes(one), wayOf(policy).encrypts(one)]);
  expect(kinds({})).toEqual([
    [false, false],
    [true, true],
  ]);
  expect(kinds({ tls: { mode: 'disable' } }).flat()).toEqual([false, false, false, false]);
  expect(kinds({ tls: { mode: 'mesh' } }).flat()).toEqual([true, true, true, true]);
  expect(kinds({ tls: { mode: 'simple' } }).flat()).toEqual([false, true, false, true]);
});

test('the PROXY protocol comes before anything else, in the clear and before TLS', async () => {
  const secureContext = createSecureContext({ key: server.keyPem, cert: server.certPem });
  const firsts: string[] = [];
  const tcp = createTcp((socket) => {
    socket.once('data', (first: Buffer) => {
      const end = first.indexOf('\r\n') + 2;
      firsts.push(first.subarray(0, end).toString());
      const rest = first.subarray(end);
      socket.pause();
      if (rest.length > 0) socket.unshift(rest);
      if (rest[0] === 0x47) {
        socket.end(`plain ${rest.toString().slice(0, 3)}`);
        return;
      }
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on('error', () => undefined);
      secure.on('secure', () => secure.end('secured'));
    });
    socket.on('error', () => undefined);
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  closers.push(() => void tcp.close());
  const { port } = tcp.address() as AddressInfo;
  const proxied = { from: { host: '10.1.1.1', port: 7 }, to: { host: '10.2.2.2', port: 443 } };
  const opening = { purpose: 'tcp', slot: emptySlot(), proxied } as const;
  const plain = wayOf({ proxyProtocol: 'v1' }).open(endpointAt(port), opening);
  plain.write('GET / HTTP/1.1\r\n\r\n');
  expect(await textOf(plain)).toBe('plain GET');
  const tls = { mode: 'simple', caFile } as const;
  const secure = wayOf({ proxyProtocol: 'v1', tls }).open(endpointAt(port), opening);
  expect(await textOf(secure)).toBe('secured');
  const line = 'PROXY TCP4 10.1.1.1 10.2.2.2 7 443\r\n';
  expect(firsts).toEqual([line, line]);
});
