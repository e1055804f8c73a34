// The CA in a cluster, in this process: replicas that share a Secret, the operator's Secret, the bundle in every namespace.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SigningRefusal, SigningReply } from '#api/signing.ts';
import { startCa, type Ca } from '#ca/app.ts';
import { createSelfSignedIssuer, splitPem, type Issuer } from '#ca/issuer.ts';
import { readCaSettings } from '#ca/settings.ts';
import { requestJson } from '#runtime/h2-json.ts';
import { createLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { VirtualClock } from '#test/runtime/virtual-clock.ts';
import {
  away,
  configMaps,
  namespaces,
  startFakeCluster,
  type FakeCluster,
} from './fake-cluster.ts';
import { openssl, verifyChain } from './fixture.ts';

interface Replica {
  readonly ca: Ca;
  readonly clock: VirtualClock;
  readonly lines: string[];
}

let folder: string;
let cluster: FakeCluster;
const replicas: Replica[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-ca-'));
  cluster = await startFakeCluster(folder);
});

afterEach(async () => {
  cluster.broken = null;
  await Promise.all(replicas.splice(0).map(({ ca }) => ca.close()));
  await cluster.api.close();
  rmSync(folder, { recursive: true });
});

async function start(pod: string, env: Record<string, string> = {}): Promise<Replica> {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog(pod, 'info', { write: (line) => lines.push(line) });
  const settings = readCaSettings({ ...cluster.env, SELVAGE_POD: pod, ...env });
  const replica = { ca: await startCa(settings, log, clock), clock, lines };
  replicas.push(replica);
  return replica;
}

async function roles(replica: Replica): Promise<string[]> {
  const described = JSON.parse(await admin(replica, 'GET', '/roots')) as {
    role: string;
    id: string;
  }[];
  return described.map(({ role, id }) => `${role} ${id}`);
}

async function admin(
  { ca }: Pick<Replica, 'ca'>,
  method: 'GET' | 'POST',
  path: string,
): Promise<string> {
  return (await fetch(`http://127.0.0.1:${ca.adminPort}${path}`, { method })).text();
}

async function sign(
  { ca }: Replica,
  token = cluster.token(),
  csr = createKeyAndCsr().csrPem,
): Promise<{ status: number; body: SigningReply & SigningRefusal }> {
  const reply = await requestJson({
    url: `https://localhost:${ca.port}/v1/certificates`,
    method: 'POST',
    body: { csr },
    bearer: token,
    ca: rootsInSecret(),
    timeoutMs: 5000,
  });
  return { status: reply.status, body: reply.body as SigningReply & SigningRefusal };
}

function rootsInSecret(): string {
  const { issuers } = state();
  return issuers.map(({ rootPem }) => rootPem).join('');
}

function state(): { issuers: { rootPem: string; role: string; origin: string }[] } {
  const data = cluster.secret('selvage-ca-root')?.['data'] as Record<string, string>;
  return JSON.parse(Buffer.from(data['issuers.json'] ?? '', 'base64').toString('utf8')) as {
    issuers: { rootPem: string; role: string; origin: string }[];
  };
}

/** Lets seconds pass for these replicas until something holds; the network is real, the time is not. */
async function until(what: Replica[], holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    if (await holds()) return;
    for (const { clock } of what) await clock.pass(1000);
    await sleep(10);
  }
  expect(await holds()).toBe(true);
}

const encode = (text: string): string => Buffer.from(text).toString('base64');

function plug(issuer: Issuer): void {
  cluster.api.put('/api/v1/secrets', {
    metadata: { name: 'cacerts', namespace: 'selvage-system' },
    data: {
      'ca-cert.pem': encode(issuer.certificatePem),
      'ca-key.pem': encode(issuer.keyPem),
      'root-cert.pem': encode(issuer.rootPem),
      'cert-chain.pem': encode(issuer.certificatePem),
    },
  });
}

const newRoot = () => createSelfSignedIssuer('cluster.local', 365 * 86_400_000, Date.now());

test('two that start at once on an empty cluster agree on one root', async () => {
  const both = await Promise.all([start('ca-1'), start('ca-2')]);
  const [one, two] = await Promise.all(both.map((replica) => sign(replica)));
  expect(one?.status).toBe(200);
  expect(one?.body.trustBundle).toBe(two?.body.trustBundle);
  expect(state().issuers.length).toBe(1);
});

test('a rotation that one is told is followed by the other, and both trust every root at each step', async () => {
  const [one, two] = [await start('ca-1'), await start('ca-2')];
  const before = (await sign(two)).body;
  await admin(one, 'POST', '/rotate');
  await until([two], async () => (await roles(two)).length === 2);
  expect(await roles(two)).toEqual(await roles(one));
  expect(splitPem((await sign(two)).body.trustBundle).length).toBe(2);
  await admin(two, 'POST', '/rotate?step=switch');
  await until([one], async () => (await roles(one))[0]?.startsWith('retired') === true);
  const after = (await sign(one)).body;
  expect(splitPem(after.trustBundle).length).toBe(2);
  expect(verifyChain(after.chain, before.trustBundle, 'sslserver')).toContain('OK');
  expect(verifyChain(before.chain, after.trustBundle, 'sslserver')).toContain('OK');
});

test('time moves a rotation on once, whichever replica sees it first', async () => {
  const env = { SELVAGE_CA_ROTATION_OVERLAP_SECONDS: '60' };
  const [one, two] = [await start('ca-1', env), await start('ca-2', env)];
  await admin(one, 'POST', '/rotate');
  for (const { clock } of [one, two]) clock.jump(90_000);
  await until([one, two], async () => {
    const [a, b] = [await roles(one), await roles(two)];
    return a.join() === b.join() && a[0]?.startsWith('retired') === true;
  });
  expect(state().issuers.map(({ role }) => role)).toEqual(['retired', 'signing']);
});

test('two operators that rotate at once make one new root; the later is told', async () => {
  const [one, two] = [await start('ca-1'), await start('ca-2')];
  const told = await Promise.all([one, two].map((replica) => admin(replica, 'POST', '/rotate')));
  expect(told.filter((text) => text.includes('in progress')).length).toBe(1);
  expect(state().issuers.length).toBe(2);
});

test('a Secret that somebody deletes is made again with the same root', async () => {
  const one = await start('ca-1');
  const before = rootsInSecret();
  cluster.api.remove('/api/v1/secrets', 'selvage-ca-root', 'selvage-system');
  await until([one], () => cluster.secret('selvage-ca-root') !== undefined);
  expect(rootsInSecret()).toBe(before);
  expect(one.lines.join('')).toContain('was deleted');
});

test('a Secret that somebody breaks changes nothing in those that run, and starts no other', async () => {
  const one = await start('ca-1');
  const before = (await sign(one)).body.trustBundle;
  const secret = cluster.secret('selvage-ca-root');
  cluster.api.put('/api/v1/secrets', {
    metadata: { name: 'selvage-ca-root', namespace: 'selvage-system' },
    data: { 'issuers.json': Buffer.from('{').toString('base64') },
  });
  await until([one], () => one.lines.join('').includes('is damaged'));
  await expect(start('ca-2')).rejects.toThrow('is damaged');
  for (let i = 0; i < 90; i += 1) {
    await one.clock.pass(1000);
    await sleep(5);
  }
  expect(await admin(one, 'GET', '/ready')).toBe('ready\n');
  const { metadata, ...content } = secret ?? { metadata: { name: '' } };
  cluster.api.put('/api/v1/secrets', { ...content, metadata: { ...metadata } });
  expect((await sign(one)).body.trustBundle).toBe(before);
});

test('no line of the log has a key', async () => {
  plug(await newRoot());
  const one = await start('ca-1');
  await admin(one, 'POST', '/rotate');
  plug(await newRoot());
  await until([one], () => one.lines.join('').includes('was read again'));
  expect(one.lines.join('')).not.toMatch(/PRIVATE KEY|"keyPem"/);
  expect(await admin(one, 'GET', '/roots')).not.toContain('PRIVATE');
});

test("the operator's Secret signs from the first start, and replaced it takes over with an overlap", async () => {
  const [first, second] = [await newRoot(), await newRoot()];
  plug(first);
  const env = { SELVAGE_CA_ROTATION_OVERLAP_SECONDS: '30' };
  const [one, two] = [await start('ca-1', env), await start('ca-2', env)];
  const before = (await sign(one)).body;
  expect(before.trustBundle).toBe(first.rootPem);
  // The operator's key stays in the operator's Secret.
  expect(JSON.stringify(state())).not.toContain('PRIVATE KEY');
  plug(second);
  await until([one, two], () => [one, two].every((r) => r.lines.join('').includes('read again')));
  const during = (await sign(two)).body;
  expect(during.trustBundle).toBe(first.rootPem + second.rootPem);
  expect(verifyChain(during.chain, before.trustBundle, 'sslserver')).toContain('OK');
  await until([one, two], async () => (await roles(two))[0] === `retired ${first.id}`);
  await until([one, two], async () => (await roles(one))[0] === `retired ${first.id}`);
  for (const replica of [one, two]) {
    const after = (await sign(replica)).body;
    expect(verifyChain(after.chain, second.rootPem, 'sslserver')).toContain('OK');
    expect(verifyChain(after.chain, first.rootPem, 'sslserver')).toContain('OK');
  }
});

test('an operator who goes back in the overlap keeps the issuer that signs', async () => {
  const [first, second] = [await newRoot(), await newRoot()];
  plug(first);
  const one = await start('ca-1');
  plug(second);
  await until([one], async () => (await roles(one)).length === 2);
  plug(first);
  await until([one], async () => (await roles(one)).length === 1);
  expect(await roles(one)).toEqual([`signing ${first.id}`]);
});

test('a broken Secret of the operator is refused with its place, and the present issuer goes on', async () => {
  plug(await newRoot());
  const one = await start('ca-1');
  cluster.api.put('/api/v1/secrets', {
    metadata: { name: 'cacerts', namespace: 'selvage-system' },
    data: { 'ca-cert.pem': 'eA==' },
  });
  await until([one], () => one.lines.join('').includes('Secret selvage-system/cacerts'));
  expect((await sign(one)).status).toBe(200);
  await expect(start('ca-2')).rejects.toThrow('ca-key.pem is missing');
});

test('every namespace gets the trust bundle, also a new one; one that is going is left alone', async () => {
  cluster.api.put(namespaces, {
    metadata: { name: 'going', deletionTimestamp: '2026-01-01T00:00:00Z' },
  });
  const one = await start('ca-1');
  await until([one], () => cluster.bundleIn('shop') === rootsInSecret());
  cluster.api.put(namespaces, { metadata: { name: 'new' } });
  await until([one], () => cluster.bundleIn('new') === rootsInSecret());
  expect(cluster.bundleIn('selvage-system')).toBe(rootsInSecret());
  expect(cluster.bundleIn('going')).toBeUndefined();
});

test('a trust bundle that somebody edits or deletes is made right; what others added to it stays', async () => {
  const one = await start('ca-1');
  await until([one], () => cluster.bundleIn('shop') === rootsInSecret());
  const metadata = { name: 'selvage-ca-root-cert', namespace: 'shop' };
  const data = { 'root-cert.pem': 'of somebody else', more: 'theirs' };
  cluster.api.put(configMaps, { metadata, data });
  await until([one], () => cluster.bundleIn('shop') === rootsInSecret());
  expect(cluster.api.get(configMaps, metadata.name, 'shop')?.['data']).toMatchObject({
    more: 'theirs',
  });
  cluster.api.remove(configMaps, metadata.name, 'shop');
  await until([one], () => cluster.bundleIn('shop') === rootsInSecret());
});

test('a new root is in every namespace before it signs, and only the leader writes', async () => {
  const [one, two] = [await start('ca-1'), await start('ca-2')];
  await until([one, two], () => cluster.bundleIn('shop') !== undefined);
  await admin(two, 'POST', '/rotate');
  await until([one, two], () => splitPem(cluster.bundleIn('shop') ?? '').length === 2);
  const writers = [one, two].filter(({ lines }) => lines.join('').includes('trust bundle written'));
  expect(writers.length).toBe(1);
});

test('what cannot be written in one namespace is tried again, and holds up no other', async () => {
  const usual = cluster.api.intercept;
  let failures = 0;
  cluster.api.intercept = (request) => {
    if (request.method !== 'PATCH' || !request.path.includes('/shop/') || failures >= 2) {
      return usual?.(request);
    }
    failures += 1;
    return { status: 500, body: { kind: 'Status', message: 'quota' } };
  };
  const one = await start('ca-1');
  await until([one], () => cluster.bundleIn('selvage-system') !== undefined);
  await until([one], () => cluster.bundleIn('shop') !== undefined);
  expect(failures).toBe(2);
});

test('the account of the injector gets its DNS name too, by the setting; a request that asks for one is refused', async () => {
  const one = await start('ca-1');
  const injector = cluster.token({ account: 'selvage-system:selvage-injector', pod: 'i-1' });
  const { body } = await sign(one, injector);
  const leaf = new X509Certificate(body.chain);
  expect(leaf.subjectAltName).toBe(
    'URI:spiffe://cluster.local/ns/selvage-system/sa/selvage-injector, DNS:selvage-injector.selvage-system.svc',
  );
  expect(leaf.checkHost('selvage-injector.selvage-system.svc')).toBeDefined();
  expect(leaf.keyUsage).toContain('1.3.6.1.5.5.7.3.1');
  expect(verifyChain(body.chain, body.trustBundle, 'sslserver')).toContain('OK');
  expect(new X509Certificate((await sign(one)).body.chain).subjectAltName).toBe(
    'URI:spiffe://cluster.local/ns/shop/sa/orders',
  );
  for (const names of [
    'DNS:selvage-injector.selvage-system.svc',
    'URI:spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
  ]) {
    const refused = await sign(one, cluster.token(), csrFor(names));
    expect([refused.status, refused.body.code]).toEqual([403, 'csr-identity-other']);
    const own = await sign(one, injector, csrFor(names));
    expect(own.body.code).toBe('csr-identity-other');
  }
});

test('the audit has the pod and its uid', async () => {
  const one = await start('ca-1');
  await sign(one);
  const line = JSON.parse(readFileSync(join(folder, 'audit.jsonl'), 'utf8')) as object;
  expect(line).toMatchObject({ pod: 'orders-1', podUid: 'uid of orders-1' });
});

test('a replica that has not seen the roots for a minute is not ready, until it does', async () => {
  const one = await start('ca-1');
  const ready = async (): Promise<number> =>
    (await fetch(`http://127.0.0.1:${one.ca.healthPort}/healthz/ready`)).status;
  expect(await ready()).toBe(200);
  cluster.broken = away;
  await until([one], async () => (await ready()) === 503);
  expect((await fetch(`http://127.0.0.1:${one.ca.healthPort}/healthz/live`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${one.ca.healthPort}/roots`)).status).toBe(404);
  expect((await sign(one)).body.code).toBe('keys-unavailable');
  cluster.broken = null;
  await until([one], async () => (await ready()) === 200);
});

function csrFor(names: string): string {
  const args = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const rest = ['-nodes', '-keyout', '/dev/null', '-subj', '/', '-addext'];
  return openssl(...args, ...rest, `subjectAltName=${names}`);
}
