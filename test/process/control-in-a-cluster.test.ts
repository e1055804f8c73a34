// Control fed by an API server, with real sidecars connected: pods, slices and policies become what is enforced.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { FakeApi, status, type NewObject } from '#test/runtime/kubernetes/fake-api.ts';

import { startTestCa, type TestCa } from '../ca/fixture.ts';
import { until } from '../control/push/fixtures.ts';

const pods = '/api/v1/pods';
const services = '/api/v1/services';
const slices = '/apis/discovery.k8s.io/v1/endpointslices';
const policies = '/apis/security.istio.io/v1/authorizationpolicies';

interface Running {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
}

let folder = '';
let ca: TestCa;
let api: FakeApi;
const children: ChildProcess[] = [];
const servers: Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-cluster-'));
  ca = await startTestCa();
  api = await FakeApi.start();
  await mkdir(join(folder, 'account'));
  await Promise.all([
    writeFile(join(folder, 'bundle.pem'), await ca.bundle()),
    writeFile(join(folder, 'control-token'), await token('selvage-system', 'selvage-control')),
    writeFile(join(folder, 'web-token'), await token('shop', 'web')),
    writeFile(join(folder, 'account', 'token'), 'of control'),
    writeFile(join(folder, 'account', 'ca.crt'), api.caPem),
    writeFile(join(folder, 'account', 'namespace'), 'selvage-system'),
  ]);
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  for (const server of servers.splice(0)) server.close();
  await Promise.all([ca.close(), api.close()]);
  await rm(folder, { recursive: true });
});

function token(namespace: string, account: string): Promise<string> {
  return ca.tokens.make({ sub: `system:serviceaccount:${namespace}:${account}` });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function run(program: string, env: Record<string, string>): Running {
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  createInterface(child.stdout).on('line', (line) => {
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  return { child, lines };
}

async function line({ lines }: Running, message: string): Promise<Record<string, unknown>> {
  const find = (): Record<string, unknown> | undefined =>
    lines.find((one) => one['msg'] === message);
  await until(() => find() !== undefined, `"${message}" in ${JSON.stringify(lines)}`);
  return find() ?? {};
}

function control(port = 0): Running {
  return run('control/main.ts', {
    SELVAGE_CONTROL_LISTEN: `127.0.0.1:${port}`,
    SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
    SELVAGE_HEALTH: '127.0.0.1:0',
    SELVAGE_KUBERNETES: api.url,
    SELVAGE_KUBERNETES_DIR: join(folder, 'account'),
    SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
    SELVAGE_TOKEN_FILE: join(folder, 'control-token'),
    SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
  });
}

function sidecar(controlPort: number, application: number): Running {
  return run('sidecar/main.ts', {
    SELVAGE_NAMESPACE: 'shop',
    SELVAGE_WORKLOAD: 'web',
    SELVAGE_POD: 'web-1',
    SELVAGE_SERVICE_ACCOUNT: 'web',
    SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
    SELVAGE_CONTROL: `https://127.0.0.1:${controlPort}`,
    SELVAGE_TOKEN_FILE: join(folder, 'web-token'),
    SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    SELVAGE_INBOUND: `127.0.0.1:0=8080>127.0.0.1:${application}`,
    SELVAGE_OUTBOUND: '127.0.0.1:0',
    SELVAGE_ADMIN: '127.0.0.1:0',
    SELVAGE_ACCESS_LOG: '/dev/stdout',
    SELVAGE_ACCESS_LOG_FORMAT: 'json',
  });
}

async function application(answer: string): Promise<number> {
  const server = createServer((_, response) => response.end(answer));
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Through a proxy, or straight to a port. */
async function call(port: number, path: string): Promise<{ status: number; body: string }> {
  const sent = request({ host: '127.0.0.1', port, path, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

async function eventually<T>(ask: () => Promise<T>, wanted: (got: T) => boolean): Promise<T> {
  const endMs = Date.now() + 5000;
  for (;;) {
    const got = await ask();
    if (wanted(got)) return got;
    if (Date.now() > endMs) throw new Error(`did not become so: ${JSON.stringify(got)}`);
    await sleep(10);
  }
}

function put(collection: string, object: object): void {
  api.put(collection, object as NewObject);
}

function putPod(): void {
  put(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      labels: { app: 'web' },
      annotations: { 'selvage.dev/workload': 'web' },
    },
    spec: {
      serviceAccountName: 'web',
      initContainers: [{ name: 'selvage-proxy', restartPolicy: 'Always' }],
      containers: [{ name: 'app', ports: [{ name: 'main', containerPort: 8080 }] }],
    },
    status: { phase: 'Running', podIP: '10.1.0.1' },
  });
}

function putService(): void {
  put(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'pay', namespace: 'shop' },
    spec: { clusterIP: '10.96.0.7', ports: [{ name: 'http', port: 80 }] },
  });
}

function putSlice(port: number): void {
  put(slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'pay-x',
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': 'pay' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  });
}

function putPolicy(path: string): void {
  put(policies, {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'keep-out', namespace: 'shop' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      action: 'DENY',
      rules: [{ to: [{ operation: { paths: [path] } }] }],
    },
  });
}

test('a sidecar waits for its pod to be seen, then follows policies and endpoints, and control may go and come', async () => {
  const [blue, green] = [await application('blue'), await application('green')];
  putService();
  putSlice(blue);
  putPolicy('/admin');
  const first = control();
  const { port, healthPort } = (await line(first, 'control ready')) as Record<string, number>;
  expect(await call(healthPort ?? 0, '/healthz/ready')).toMatchObject({ status: 200 });
  expect(await call(healthPort ?? 0, '/snapshot')).toMatchObject({ status: 404 });

  const own = await application('web itself');
  const web = sidecar(port ?? 0, own);
  await sleep(1500);
  expect(web.lines.some((one) => one['msg'] === 'sidecar ready')).toBe(false);
  putPod();
  const { inboundPorts, outboundPort } = (await line(web, 'sidecar ready')) as {
    inboundPorts?: number[];
    outboundPort?: number;
  };
  const inbound = (path: string) => call(inboundPorts?.[0] ?? 0, path);
  const outbound = () => call(outboundPort ?? 0, 'http://pay/');

  expect((await inbound('/')).body).toBe('web itself');
  expect((await inbound('/admin')).status).toBe(403);
  const denied = await eventually(
    async () => web.lines.find((one) => one['response_code'] === 403),
    (found) => found !== undefined,
  );
  expect(JSON.stringify(denied)).toContain('"at":"AuthorizationPolicy shop/keep-out"');
  putPolicy('/secret');
  await eventually(
    () => inbound('/secret'),
    (got) => got.status === 403,
  );
  expect((await inbound('/admin')).status).toBe(200);

  expect((await outbound()).body).toBe('blue');
  putSlice(green);
  await eventually(outbound, (got) => got.body === 'green');
  api.remove(slices, 'pay-x', 'shop');
  await eventually(outbound, (got) => got.status === 503);

  // The API server away: control keeps what it has.
  api.intercept = () => status(503, 'ServiceUnavailable', 'not now');
  api.cutWatches();
  await sleep(200);
  expect((await inbound('/secret')).status).toBe(403);
  api.intercept = null;
  // Another control, whose numbers begin again, has a newer truth.
  await kill(first.child);
  putPolicy('/other');
  putSlice(blue);
  control(port);
  await eventually(
    () => inbound('/other'),
    (got) => got.status === 403,
  );
  expect((await outbound()).body).toBe('blue');
});

test('without its API server control is alive, not ready, and ready as soon as it is there', async () => {
  api.intercept = () => status(503, 'ServiceUnavailable', 'not now');
  const waiting = control();
  await line(waiting, 'reading the cluster');
  await sleep(500);
  expect(waiting.child.exitCode).toBeNull();
  expect(waiting.lines.some((one) => one['msg'] === 'control ready')).toBe(false);
  api.intercept = null;
  await line(waiting, 'control ready');
});
