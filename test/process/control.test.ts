// Control as a process: from an edited file to an enforced snapshot, its sudden death, its CA being away, wrong settings.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  connect as connectTcp,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
} from 'node:net';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Snapshot } from '#api/snapshot.ts';
import { silentLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';

import { startTestCa, type TestCa } from '../ca/fixture.ts';
import { controlIdentity, until } from '../control/push/fixtures.ts';

interface ControlProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
  readonly lines: string[];
}

let folder = '';
let ca: TestCa;
const children: ChildProcess[] = [];
const clients: ControlClient[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-control-'));
  ca = await startTestCa();
  await mkdir(resources());
  await writeFile(join(folder, 'bundle.pem'), await ca.bundle());
  await writeFile(join(folder, 'token'), await ca.tokens.make({ sub: account('selvage-control') }));
  await writeFile(join(resources(), 'web.yaml'), deployment);
  await writeFile(join(resources(), 'policy.yaml'), policy('/one'));
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.stop();
  for (const child of children.splice(0)) await kill(child);
  await ca.close();
  await rm(folder, { recursive: true });
});

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop, annotations: { inject: "true" } }
spec: { template: { metadata: { labels: { app: web } }, spec: { serviceAccountName: web } } }
`;

function policy(path: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: allow, namespace: shop }
spec:
  rules:
    - to: [{ operation: { paths: ["${path}"] } }]
`;
}

const resources = (): string => join(folder, 'resources');

function account(name: string, namespace = 'selvage-system'): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

function environment(over: Record<string, string> = {}): Record<string, string> {
  return {
    SELVAGE_CONTROL_LISTEN: '127.0.0.1:0',
    SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
    SELVAGE_RESOURCES: resources(),
    SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
    SELVAGE_TOKEN_FILE: join(folder, 'token'),
    SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    ...over,
  };
}

function run(env: Record<string, string>): { child: ChildProcess; lines: string[] } {
  const child = spawn(process.execPath, ['control/main.ts'], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface(stream).on('line', (line) => lines.push(line));
  }
  return { child, lines };
}

async function start(over: Record<string, string> = {}): Promise<ControlProcess> {
  const { child, lines } = run(environment(over));
  const ready = (): string | undefined => lines.find((line) => line.includes('control ready'));
  const gone = (): boolean => child.exitCode !== null;
  await until(() => ready() !== undefined || gone(), 'control ready');
  if (gone()) throw new Error(lines.join('\n'));
  const { port, adminPort } = JSON.parse(ready() ?? '') as { port: number; adminPort: number };
  return { child, lines, port, adminPort };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function connect(port: number): Promise<{ client: ControlClient; applied: Snapshot[] }> {
  const { keyPem, csrPem } = createKeyAndCsr();
  const reply = await ca.sign({
    csr: csrPem,
    token: await ca.tokens.make({ sub: account('web', 'shop') }),
  });
  const applied: Snapshot[] = [];
  const client = new ControlClient({
    url: new URL(`https://127.0.0.1:${port}`),
    namespace: 'shop',
    workload: 'web',
    pod: 'web-0',
    version: 'test',
    controlIdentity,
    credentials: () => ({ key: keyPem, cert: reply.body.chain, ca: reply.body.trustBundle }),
    apply: (snapshot) => applied.push(snapshot),
    log: silentLog,
    limits: { firstRetryMs: 20, retryMaxMs: 100 },
  });
  clients.push(client);
  return { client, applied };
}

async function admin(control: ControlProcess, path: string): Promise<unknown> {
  const reply = await fetch(`http://127.0.0.1:${control.adminPort}${path}`);
  return reply.headers.get('content-type') === 'application/json' ? reply.json() : reply.text();
}

function pathOf(snapshot: Snapshot | undefined): string | undefined {
  const [first] = snapshot?.policies ?? [];
  if (first?.kind !== 'AuthorizationPolicy') return undefined;
  return first.spec.rules?.[0]?.to?.[0]?.operation?.paths?.[0];
}

test('an edit reaches the sidecar, a mistake does not, and the admin endpoint tells both', async () => {
  const control = await start();
  const { client, applied } = await connect(control.port);
  await client.start();
  expect(pathOf(applied[0])).toBe('/one');
  await writeFile(join(resources(), 'policy.yaml'), policy('/two'));
  await until(() => pathOf(applied.at(-1)) === '/two', 'edit');
  const { seq } = (await admin(control, '/changes')) as { seq: number };

  await writeFile(join(resources(), 'policy.yaml'), `${policy('/three')}oops: [\n`);
  const news = (await admin(control, `/changes?since=${seq}&wait=5`)) as {
    changes: { what: string; file: string; line: number; problem: { column: number } }[];
  };
  expect(news.changes[0]).toMatchObject({
    what: 'problem',
    file: join(resources(), 'policy.yaml'),
    line: expect.any(Number),
    problem: { severity: 'error', column: expect.any(Number) },
  });
  expect(await admin(control, '/problems')).toHaveLength(2);
  expect(pathOf(applied.at(-1))).toBe('/two');

  await rm(join(resources(), 'policy.yaml'));
  await until(() => applied.at(-1)?.policies.length === 0, 'removal');
  expect(await admin(control, '/problems')).toEqual([]);
  expect(await admin(control, '/snapshot?workload=shop/web')).toEqual(applied.at(-1));
  expect(await admin(control, '/sidecars')).toMatchObject([
    {
      namespace: 'shop',
      workload: 'web',
      pod: 'web-0',
      ackedVersion: client.state().version,
      inSync: true,
      refused: '',
    },
  ]);
  const metrics = await admin(control, '/stats/prometheus');
  expect(metrics).toContain('selvage_control_sidecars 1');
  expect(metrics).toContain('selvage_control_pushes_total{kind="delta"} 2');
  expect(metrics).toContain('selvage_control_lag_seconds_count 2');
});

test('killed and started again, control serves the sidecar that waited, with what changed meanwhile', async () => {
  const first = await start();
  const { client, applied } = await connect(first.port);
  await client.start();
  await kill(first.child);
  await until(() => !client.state().connected, 'disconnected');
  expect(pathOf(applied.at(-1))).toBe('/one');
  await writeFile(join(resources(), 'policy.yaml'), policy('/two'));
  await start({ SELVAGE_CONTROL_LISTEN: `127.0.0.1:${first.port}` });
  await until(() => pathOf(applied.at(-1)) === '/two', 'reconnected');
});

test('control stops in order on SIGTERM, with a sidecar connected', async () => {
  const control = await start();
  const { client } = await connect(control.port);
  await client.start();
  control.child.kill('SIGTERM');
  const [status] = (await once(control.child, 'exit')) as [number];
  expect(status).toBe(0);
});

test('without its CA, control is alive and not ready; it serves as soon as the CA is there', async () => {
  const away = createRelay(ca.ca.port);
  const port = await listen(away);
  away.close();
  const { lines } = run(environment({ SELVAGE_CA: `https://127.0.0.1:${port}` }));
  await until(() => lines.some((line) => line.includes('no certificate from the CA')), 'retries');
  const back = createRelay(ca.ca.port);
  await listen(back, port);
  await until(() => lines.some((line) => line.includes('control ready')), 'ready');
  expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  back.close();
});

function createRelay(to: number): Server {
  return createTcpServer((socket) => {
    const other = connectTcp(to, '127.0.0.1');
    socket.on('error', () => other.destroy()).pipe(other);
    other.on('error', () => socket.destroy()).pipe(socket);
  });
}

async function listen(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('keys of an issuer are fetched by control and arrive in the snapshot', async () => {
  const keys = [{ kid: '1', kty: 'EC' }];
  const issuer = createServer((_, response) => response.end(JSON.stringify({ keys })));
  const uri = `http://127.0.0.1:${await listen(issuer)}/keys`;
  await writeFile(
    join(resources(), 'jwt.yaml'),
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: i, jwksUri: "${uri}" }] }
`,
  );
  const control = await start();
  const { client, applied } = await connect(control.port);
  await client.start();
  const rule = applied[0]?.policies.find((p) => p.kind === 'RequestAuthentication')?.spec;
  expect(rule).toMatchObject({
    jwtRules: [{ issuer: 'i', jwks: JSON.stringify({ keys }) }],
  });
  issuer.close();
  issuer.closeAllConnections();
});

test('every wrong setting is named at once, and the process ends with status 2', async () => {
  const { child, lines } = run({ SELVAGE_CA: 'http://ca', SELVAGE_JWKS_DENIED: 'nonsense' });
  const [status] = (await once(child, 'close')) as [number];
  expect(status).toBe(2);
  for (const name of [
    'SELVAGE_CA',
    'SELVAGE_JWKS_DENIED',
    'SELVAGE_RESOURCES',
    'SELVAGE_TOKEN_FILE',
    'SELVAGE_TRUST_BUNDLE_FILE',
  ]) {
    expect(lines.join('\n')).toContain(name);
  }
});
