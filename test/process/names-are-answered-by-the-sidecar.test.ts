import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, workloadsOf } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { snapshotOf } from '#control/snapshot.ts';
import { freePort } from '#test/free-port.ts';
import { Rig, spiffe } from '#test/sidecar/rig.ts';
import { answerTo, clientOf, question } from '#test/sidecar/dns/messages.ts';
import { nameServer, type NameServer } from '#test/sidecar/dns/name-server.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let sidecar: SidecarProcess;
let upstream: NameServer;
let port: number;

beforeAll(async () => {
  rig = await Rig.create();
  upstream = await nameServer((query, transport) => {
    if (query.includes('missing')) return [answerTo(query, { code: 3 })];
    if (query.includes('long') && transport === 'udp') return [truncated(query)];
    return [withText(query)];
  });
  port = await freePort();
  const { certPem, keyPem } = await rig.issued(spiffe('names', 'reports'));
  const files = { snapshot: exampleSnapshot(), certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const env = { SELVAGE_DNS_PORT: `${port}`, SELVAGE_DNS_UPSTREAM: `127.0.0.1:${upstream.port}` };
  sidecar = await SidecarProcess.start(files, 0, { ...env, SELVAGE_INBOUND: '' });
});

afterAll(async () => {
  await sidecar.close();
  upstream.close();
  await rig.close();
});

/** What control makes of manifests/examples/names. */
function exampleSnapshot(): Snapshot {
  const file = join(import.meta.dirname, '../../manifests/examples/names/databases.yaml');
  const mesh = collectMesh(loadText(readFileSync(file, 'utf8'), file).resources);
  const [reports] = workloadsOf(mesh);
  if (reports === undefined) throw new Error('the example has no workload');
  return snapshotOf(mesh, reports);
}

/** One TXT record. */
function withText(query: Buffer): Buffer {
  const answer = answerTo(query.subarray(0, query.indexOf('\0', 12, 'latin1') + 5));
  answer.writeUInt16BE(1, 6);
  answer.writeUInt16BE(0, 10);
  return Buffer.concat([
    answer,
    Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 9, 0, 6, 5, ...Buffer.from('hello')]),
  ]);
}

function truncated(query: Buffer): Buffer {
  const answer = answerTo(query);
  answer.writeUInt16BE(answer.readUInt16BE(2) | 0x0200, 2);
  return answer;
}

test('hosts of ServiceEntries have an address each, which stays', async () => {
  const client = clientOf(port);
  const orders = await client.resolve4('orders-db.example.com', { ttl: true });
  const [users] = await client.resolve4('users-db.example.com');
  expect(orders).toEqual([{ address: expect.stringMatching(/^240\.240\./), ttl: 30 }]);
  expect(users).toMatch(/^240\.240\./);
  expect(users).not.toBe(orders[0]?.address);
  expect(exampleSnapshot().services.map(({ addresses }) => addresses[0])).toEqual([
    orders[0]?.address,
    users,
  ]);
});

test('what others know is asked of others: records, names that are not there, answers that need TCP', async () => {
  const client = clientOf(port);
  await expect(client.resolveTxt('orders-db.example.com')).resolves.toEqual([['hello']]);
  await expect(client.resolve4('missing.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  await expect(client.resolveTxt('long.example.com')).resolves.toEqual([['hello']]);
});

test('a name server that is gone is said to be', async () => {
  const gone = await freePort();
  const { certPem, keyPem } = await rig.issued(spiffe('names', 'reports'));
  const files = { snapshot: exampleSnapshot(), certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const own = await freePort();
  const other = await SidecarProcess.start(files, 0, {
    SELVAGE_INBOUND: '',
    SELVAGE_DNS_PORT: `${own}`,
    SELVAGE_DNS_UPSTREAM: `127.0.0.1:${gone}`,
  });
  const client = clientOf(own);
  await expect(client.resolve4('else.example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  await expect(client.resolve4('users-db.example.com')).resolves.toHaveLength(1);
  await other.close();
});

test('rubbish by UDP and TCP leaves the others answered', async () => {
  const udp = createSocket('udp4');
  const seeds = Array.from({ length: 200 }, (_, i) =>
    Buffer.from(question('orders-db.example.com').map((byte, at) => (at % 7 === i % 7 ? i : byte))),
  );
  for (const seed of seeds) udp.send(seed, port, '127.0.0.1');
  const tcp = connect(port, '127.0.0.1');
  const closed = new Promise((resolve) => tcp.once('close', resolve));
  tcp.on('error', () => undefined).resume();
  tcp.write(Buffer.alloc(70_000, 0xff));
  await closed;
  await expect(clientOf(port).resolve4('users-db.example.com')).resolves.toHaveLength(1);
  udp.close();
});

test('many at once are all answered', async () => {
  const client = clientOf(port);
  const names = Array.from({ length: 60 }, (_, i) => `txt${i}.example.com`);
  const all = await Promise.all(names.map((name) => client.resolveTxt(name)));
  expect(all).toHaveLength(60);
});
