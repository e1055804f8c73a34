// CA processes before an API server: racing for the first root, following one another, waiting for a server that is away.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SigningRefusal, SigningReply } from '#api/signing.ts';
import { splitPem } from '#ca/issuer.ts';
import { requestJson } from '#runtime/h2-json.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { freePort } from '#test/free-port.ts';
import { away, startFakeCluster, type FakeCluster } from '../ca/fake-cluster.ts';
import { verifyChain } from '../ca/fixture.ts';

interface Ports {
  readonly port: number;
  readonly adminPort: number;
  readonly healthPort: number;
}

interface CaProcess {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly ready: Promise<Ports>;
}

let folder: string;
let cluster: FakeCluster;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-ca-'));
  cluster = await startFakeCluster(folder);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await cluster.api.close();
  rmSync(folder, { recursive: true });
});

function run(pod: string, env: Record<string, string> = {}): CaProcess {
  const child = spawn(process.execPath, ['ca/main.ts'], {
    env: { PATH: process.env['PATH'], ...cluster.env, SELVAGE_POD: pod, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: string[] = [];
  const ready = Promise.withResolvers<Ports>();
  // Whoever does not wait for it must not see it fail.
  ready.promise.catch(() => undefined);
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (line.includes('ca ready')) ready.resolve(JSON.parse(line) as Ports);
  });
  child.once('exit', (code) => ready.reject(new Error(`ended with ${code}: ${lines.join('\n')}`)));
  return { child, lines, ready: ready.promise };
}

async function sign(
  { port }: Ports,
  token = cluster.token(),
): Promise<{ status: number; body: SigningReply & SigningRefusal }> {
  const reply = await requestJson({
    url: `https://localhost:${port}/v1/certificates`,
    method: 'POST',
    body: { csr: createKeyAndCsr().csrPem },
    bearer: token,
    ca: roots(),
    timeoutMs: 5000,
  });
  return { status: reply.status, body: reply.body as SigningReply & SigningRefusal };
}

function roots(): string {
  const data = cluster.secret('selvage-ca-root')?.['data'] as Record<string, string>;
  const text = Buffer.from(data['issuers.json'] ?? '', 'base64').toString('utf8');
  const { issuers } = JSON.parse(text) as { issuers: { rootPem: string }[] };
  return issuers.map(({ rootPem }) => rootPem).join('');
}

const step = ({ adminPort }: Ports, name: string) =>
  fetch(`http://127.0.0.1:${adminPort}/rotate?step=${name}`, { method: 'POST' });

async function rolesAt({ adminPort }: Ports): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${adminPort}/roots`);
  return ((await reply.json()) as { role: string }[]).map(({ role }) => role).join();
}

test('two processes that race for the first root share it, and both follow a rotation that one is told', async () => {
  const both = [run('ca-1'), run('ca-2')];
  const [one, two] = await Promise.all([both[0]?.ready, both[1]?.ready]);
  if (one === undefined || two === undefined) throw new Error('two were started');
  const [a, b] = [await sign(one), await sign(two)];
  expect(a.body.trustBundle).toBe(b.body.trustBundle);
  expect((await step(one, 'publish')).status).toBe(200);
  while ((await rolesAt(two)) !== 'signing,published') await sleep(50);
  expect((await step(two, 'switch')).status).toBe(200);
  while ((await rolesAt(one)) !== 'retired,signing') await sleep(50);
  for (const ports of [one, two]) {
    const { body } = await sign(ports);
    expect(splitPem(body.trustBundle).length).toBe(2);
    expect(verifyChain(body.chain, a.body.trustBundle, 'sslserver')).toContain('OK');
  }
  while (splitPem(cluster.bundleIn('shop') ?? '').length !== 2) await sleep(50);
  expect(both.flatMap(({ lines }) => lines).join('')).not.toContain('PRIVATE KEY');
});

test('tokens of another audience, of no pod, of a deleted pod, expired or made up get no certificate', async () => {
  const ports = await run('ca-1').ready;
  cluster.deletePod('gone-1');
  const refused: readonly (readonly [string, string])[] = [
    [cluster.token({ audience: 'https://kubernetes.default.svc' }), 'token-audience'],
    [cluster.token({ pod: null }), 'token-unbound'],
    [cluster.token({ pod: 'gone-1' }), 'token-refused'],
    [cluster.token({ lifeSeconds: -60 }), 'token-expired'],
    [`${cluster.token()}x`, 'token-refused'],
  ];
  for (const [token, code] of refused) {
    const { status, body } = await sign(ports, token);
    expect([status, body.code]).toEqual([401, code]);
  }
  expect((await sign(ports)).status).toBe(200);
});

test('with the API server away tokens are put off, and served again when it is back', async () => {
  const ports = await run('ca-1').ready;
  cluster.broken = away;
  const { status, body } = await sign(ports);
  expect([status, body.code]).toEqual([503, 'keys-unavailable']);
  cluster.broken = null;
  expect((await sign(ports)).status).toBe(200);
});

test('started while the API server is away it waits, tells the kubelet that it is not ready, and begins when it can', async () => {
  cluster.broken = away;
  const port = await freePort();
  const ca = run('ca-1', { SELVAGE_HEALTH: `127.0.0.1:${port}` });
  const health = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}/healthz/${path}`).catch(() => null))?.status ?? 0;
  while ((await health('ready')) !== 503) await sleep(20);
  expect(await health('live')).toBe(200);
  while (!ca.lines.some((line) => line.includes('cannot be read from the cluster')))
    await sleep(20);
  cluster.broken = null;
  const ports = await ca.ready;
  expect((await sign(ports)).status).toBe(200);
  expect(await health('ready')).toBe(200);
});

test('a leader that ends hands the writing of the trust bundle over', async () => {
  const one = run('ca-1');
  await one.ready;
  while (cluster.bundleIn('shop') === undefined) await sleep(20);
  const two = run('ca-2');
  await two.ready;
  one.child.kill('SIGTERM');
  const [status] = (await once(one.child, 'exit')) as [number];
  expect(status).toBe(0);
  cluster.api.put('/api/v1/namespaces', { metadata: { name: 'later' } });
  while (cluster.bundleIn('later') === undefined) await sleep(50);
  expect(cluster.bundleIn('later')).toBe(roots());
});

test('a cluster and a folder at once are refused at start', async () => {
  const child = spawn(process.execPath, ['ca/main.ts'], {
    env: { PATH: process.env['PATH'], ...cluster.env, SELVAGE_CA_DIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  expect(status).toBe(2);
  expect(stderr).toContain('SELVAGE_CA_DIR and SELVAGE_KUBERNETES are both set');
});
