// Two replicas of control as processes: either knows the sidecars of both, one of them writes statuses, the other when it dies.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { silentLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';

import { startTestCa, type TestCa } from '../ca/fixture.ts';
import { controlIdentity } from '../control/push/fixtures.ts';
import { FakeApi, type NewObject } from '../runtime/kubernetes/fake-api.ts';

const policies = '/apis/security.istio.io/v1/authorizationpolicies';
const enforcedPath = '/enforced?kind=AuthorizationPolicy&namespace=shop&name=keep-out';

interface Replica {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
}

let folder = '';
let ca: TestCa;
let api: FakeApi;
const children: ChildProcess[] = [];
const clients: ControlClient[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-statuses-'));
  [ca, api] = await Promise.all([startTestCa(), FakeApi.start()]);
  await mkdir(join(folder, 'account'));
  await Promise.all([
    writeFile(join(folder, 'bundle.pem'), await ca.bundle()),
    writeFile(join(folder, 'token'), await token('selvage-system', 'selvage-control')),
    writeFile(join(folder, 'account', 'token'), 'of control'),
    writeFile(join(folder, 'account', 'ca.crt'), api.caPem),
    writeFile(join(folder, 'account', 'namespace'), 'selvage-system'),
  ]);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.stop();
  for (const child of children.splice(0)) await kill(child);
  await Promise.all([ca.close(), api.close()]);
  await rm(folder, { recursive: true });
});

test('either replica knows the sidecars of both, one writes statuses, and the other does when it dies', async () => {
  for (const name of ['web-0', 'web-1']) putPod(name);
  putPolicy('/admin');
  const [a, b] = [await startReplica(), await startReplica()];
  putSlices(a.port, b.port);
  await connect(a.port, 'web-0');
  await connect(b.port, 'web-1');
  for (const replica of [a, b]) {
    await until(async () => {
      expect(await ask(replica, enforcedPath)).toEqual({
        generation: 1,
        enforced: 2,
        of: 2,
        missing: [],
        refusals: [],
        unreachable: [],
      });
      expect(await ask(replica, '/sidecars')).toMatchObject([
        { pod: 'web-0', inSync: true },
        { pod: 'web-1', inSync: true },
      ]);
    });
  }
  await until(async () => expect(enforced()).toMatchObject({ status: 'True', ...allOfTwo }));

  await kill(a.child);
  putSlices(b.port);
  putPolicy('/secret');
  await until(async () =>
    expect(await ask(b, enforcedPath)).toMatchObject({ generation: 2, enforced: 1, of: 2 }),
  );
  // web-0 is ready and connected to nobody: it enforces what it had.
  expect(await ask(b, enforcedPath)).toMatchObject({ missing: ['shop/web-0'] });
  await connect(b.port, 'web-0');
  await until(async () => {
    expect(api.get(policies, 'keep-out', 'shop')?.['status']).toMatchObject({
      observedGeneration: 2,
    });
    expect(enforced()).toMatchObject({ status: 'True', ...allOfTwo });
  }, 40_000);
}, 90_000);

const allOfTwo = { reason: 'Enforced', message: 'enforced by 2 of 2 sidecars' };

function enforced(): unknown {
  const { conditions = [] } = (api.get(policies, 'keep-out', 'shop')?.['status'] ?? {}) as {
    conditions?: { type: string }[];
  };
  return conditions.find(({ type }) => type === 'Enforced');
}

async function startReplica(): Promise<Replica> {
  const child = spawn(process.execPath, ['control/main.ts'], {
    env: {
      PATH: process.env['PATH'],
      SELVAGE_CONTROL_LISTEN: '127.0.0.1:0',
      SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
      SELVAGE_KUBERNETES: api.url,
      SELVAGE_KUBERNETES_DIR: join(folder, 'account'),
      SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
      SELVAGE_TOKEN_FILE: join(folder, 'token'),
      SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface(child.stdout)) {
    if (!line.includes('control ready')) continue;
    child.stdout.resume();
    const { port, adminPort } = JSON.parse(line) as { port: number; adminPort: number };
    return { child, port, adminPort };
  }
  throw new Error('control ended before it was ready');
}

async function connect(port: number, pod: string): Promise<void> {
  const { keyPem, csrPem } = createKeyAndCsr();
  const { body } = await ca.sign({ csr: csrPem, token: await token('shop', 'web') });
  const client = new ControlClient({
    url: new URL(`https://127.0.0.1:${port}`),
    namespace: 'shop',
    workload: 'web',
    pod,
    version: 'test',
    controlIdentity,
    credentials: () => ({ key: keyPem, cert: body.chain, ca: body.trustBundle }),
    apply: () => undefined,
    log: silentLog,
    limits: { firstRetryMs: 20, retryMaxMs: 100 },
  });
  clients.push(client);
  await client.start();
}

function putPod(name: string): void {
  put('/api/v1/pods', 'v1', 'Pod', {
    metadata: {
      name,
      namespace: 'shop',
      labels: { app: 'web' },
      annotations: { 'selvage.dev/workload': 'web' },
    },
    spec: {
      serviceAccountName: 'web',
      initContainers: [{ name: 'selvage-proxy' }],
      containers: [{ name: 'app' }],
    },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

/** Of control itself; both replicas have the address of this machine, so a slice for each port. */
function putSlices(...ports: number[]): void {
  const collection = '/apis/discovery.k8s.io/v1/endpointslices';
  for (const { metadata } of api.list(collection)) {
    api.remove(collection, metadata.name, metadata.namespace);
  }
  for (const port of ports) {
    put(collection, 'discovery.k8s.io/v1', 'EndpointSlice', {
      metadata: {
        name: `selvage-control-${port}`,
        namespace: 'selvage-system',
        labels: { 'kubernetes.io/service-name': 'selvage-control' },
      },
      addressType: 'IPv4',
      ports: [{ name: 'push', port }],
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    });
  }
}

function putPolicy(path: string): void {
  const present = api.get(policies, 'keep-out', 'shop');
  put(policies, 'security.istio.io/v1', 'AuthorizationPolicy', {
    metadata: { name: 'keep-out', namespace: 'shop' },
    spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] },
    status: present?.['status'],
  });
}

function put(collection: string, apiVersion: string, kind: string, object: object): void {
  api.put(collection, { apiVersion, kind, ...object } as NewObject);
}

async function ask({ adminPort }: Replica, path: string): Promise<unknown> {
  const reply = await fetch(`http://127.0.0.1:${adminPort}${path}`);
  return reply.json();
}

function token(namespace: string, account: string): Promise<string> {
  return ca.tokens.make({ sub: `system:serviceaccount:${namespace}:${account}` });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Until it no longer throws. */
async function until(check: () => Promise<void>, timeoutMs = 10_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
