import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, workloadsOf } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { snapshotOf } from '#control/snapshot.ts';
import { Rig, spiffe } from '#test/sidecar/rig.ts';

import { makeNamespaces, namespacesMissing, type Namespace } from './namespaces.ts';
import { proxyId, SidecarProcess } from './sidecar-process.ts';

const missing = await namespacesMissing();
if (missing !== '') process.stderr.write(`capture of DNS is not tested: ${missing}\n`);
const withoutDig = await promisify(execFile)('dig', ['-v']).then(
  () => false,
  () => true,
);

interface World {
  readonly rig: Rig;
  readonly web: Namespace;
  readonly users: Namespace;
  readonly outside: Namespace;
  readonly sidecar: SidecarProcess;
}

const resolvConf =
  'search names.svc.cluster.local svc.cluster.local\nnameserver 10.77.0.1\noptions ndots:5\n';

/** What control makes of manifests/examples/names. */
function exampleSnapshot(): Snapshot {
  const file = join(import.meta.dirname, '../../manifests/examples/names/databases.yaml');
  const mesh = collectMesh(loadText(readFileSync(file, 'utf8'), file).resources);
  const [reports] = workloadsOf(mesh);
  if (reports === undefined) throw new Error('the example has no workload');
  return snapshotOf(mesh, reports);
}

/** One database is on the router, the other in a pod: both on the port of the example. */
async function makeWorld(kind: 'nft' | 'legacy'): Promise<World> {
  const rig = await Rig.create();
  const { outside, pods } = await makeNamespaces(['web', 'users'], resolvConf);
  const [web, users] = pods;
  if (web === undefined || users === undefined) throw new Error('no pods');
  await outside.tell({ kind: 'greeting', host: outside.ip, port: 5432 });
  await outside.tell({ kind: 'http', host: outside.ip, port: 8080 });
  await users.tell({ kind: 'http', host: users.ip, port: 5432 });
  await outside.tell({
    kind: 'names',
    host: outside.ip,
    port: 53,
    addresses: {
      'orders-db.example.com': [outside.ip],
      'users-db.example.com': [users.ip],
      'plain.example.com': [outside.ip],
      'many.example.com': ['10.1.0.1', '10.1.0.2', '10.1.0.3'],
    },
  });
  await web.captureInit({ SELVAGE_INIT_IPTABLES: kind, SELVAGE_INIT_DNS_PORT: '15053' });
  const { certPem, keyPem } = await rig.issued(spiffe('names', 'reports'));
  const files = { snapshot: exampleSnapshot(), certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const env = {
    SELVAGE_INBOUND: '',
    SELVAGE_OUTBOUND: '',
    SELVAGE_CAPTURE: 'transparent',
    SELVAGE_DNS_PORT: '15053',
    SELVAGE_ADMIN: '127.0.0.1:15000',
  };
  const sidecar = await SidecarProcess.start(files, 0, env, web.prefix(proxyId));
  return { rig, web, users, outside, sidecar };
}

function dig({ web }: World, ...args: string[]): Promise<string> {
  return web.run('dig', ['+tries=1', '+time=3', ...args]);
}

describe.skipIf(missing !== '').each(['nft', 'legacy'] as const)('with %s', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld(kind);
  }, 60_000);
  afterAll(async () => {
    await world.sidecar.close();
    for (const one of [world.web, world.users, world.outside]) await one.close();
    await world.rig.close();
  });

  async function lookUp(name: string): Promise<string> {
    return (await world.web.tell({ kind: 'lookup', name })).text;
  }

  test('the C library gets an address of the mesh for a host of a ServiceEntry', async () => {
    expect(await lookUp('orders-db.example.com')).toMatch(/^240\.240\.\d+\.\d+ 2001:2::[\da-f]+$/);
  });

  test('a connection to that address is one to that host, though both have one port', async () => {
    const [orders = ''] = (await lookUp('orders-db.example.com')).split(' ');
    const [users = ''] = (await lookUp('users-db.example.com')).split(' ');
    expect((await world.web.call(orders, 5432, '')).text).toBe(`hello ${world.web.ip}\n`);
    const { text } = await world.web.get(users, 5432);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain(world.users.ip);
  });

  test('by IPv6 too', async () => {
    const [, orders = ''] = (await lookUp('orders-db.example.com')).split(' ');
    expect((await world.web.call(orders, 5432, '')).text).toBe(`hello ${world.web.ip}\n`);
  });

  test('other names are those of the system, and names that are not there are not', async () => {
    expect(await lookUp('plain.example.com')).toBe(world.outside.ip);
    expect(await lookUp('nobody.example.com')).toContain('ENOTFOUND');
  });

  test('an answer that does not fit comes by TCP', async () => {
    expect((await lookUp('many.example.com')).split(' ')).toHaveLength(3);
  });

  test('a server that the system does not ask is asked as ever', async () => {
    await world.users.tell({ kind: 'udp', host: world.users.ip, port: 53 });
    const { ip } = world.users;
    const { text } = await world.web.tell({ kind: 'call-udp', host: ip, port: 53, send: 'hello' });
    expect(text).toBe(`${world.web.ip} said hello`);
  });

  test.skipIf(withoutDig)('dig is content, with EDNS and by TCP', async () => {
    const address = await dig(world, '+short', 'orders-db.example.com');
    expect(address).toMatch(/^240\.240\./);
    expect(await dig(world, '+tcp', '+short', 'orders-db.example.com')).toBe(address);
    const whole = await dig(world, '-t', 'AAAA', 'Orders-DB.example.com');
    expect(whole).toMatch(/status: NOERROR/);
    expect(whole).toMatch(/EDNS: version: 0/);
    expect(whole).not.toMatch(/Warning|malformed|mismatch/i);
    expect(await dig(world, 'nobody.example.com')).toMatch(/status: NXDOMAIN/);
  });

  test('set again nothing changes, and taken away everything is as it was', async () => {
    const env = { SELVAGE_INIT_IPTABLES: kind, SELVAGE_INIT_DNS_PORT: '15053' };
    const save = (): Promise<string> => world.web.run(`iptables-${kind}-save`, ['-t', 'nat']);
    const before = rulesIn(await save());
    await world.web.captureInit(env);
    expect(rulesIn(await save())).toEqual(before);
    await world.web.captureInit(env, ['--remove']);
    expect(await save()).not.toContain('SELVAGE');
  });
});

function rulesIn(saved: string): string[] {
  return saved.split('\n').filter((line) => line.startsWith('-A '));
}
