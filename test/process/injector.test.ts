// The injector as a process: its certificate from a real CA, reviews over TLS, the CA being away, wrong settings.
import { spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { requestJson } from '#runtime/h2-json.ts';
import { svidUri } from '#runtime/tls/peer-names.ts';
import { freePort } from '#test/free-port.ts';

import { pod } from '../api/injection/pods.ts';
import { startTestCa, type TestCa } from '../ca/fixture.ts';
import { reviewOf, type ReviewAnswer } from '../injector/reviews.ts';

const identity = 'spiffe://cluster.local/ns/selvage-system/sa/selvage-injector';
const account = 'system:serviceaccount:selvage-system:selvage-injector';

let folder = '';
let ca: TestCa;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-injector-'));
  ca = await startTestCa();
  await writeFile(join(folder, 'bundle.pem'), await ca.bundle());
  await writeFile(join(folder, 'token'), await ca.tokens.make({ sub: account }));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await ca.close();
  await rm(folder, { recursive: true });
});

interface Process {
  readonly child: ChildProcess;
  readonly lines: string[];
}

function run(over: Record<string, string> = {}): Process {
  const env = {
    PATH: process.env['PATH'],
    SELVAGE_INJECTOR_LISTEN: '127.0.0.1:0',
    SELVAGE_INJECTOR_ADMIN: '127.0.0.1:0',
    SELVAGE_HEALTH: '127.0.0.1:0',
    SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
    SELVAGE_TOKEN_FILE: join(folder, 'token'),
    SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    ...over,
  };
  const child = spawn(process.execPath, ['injector/main.ts'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => lines.push(line));
  }
  return { child, lines };
}

interface Ready {
  readonly port: number;
  readonly adminPort: number;
  readonly healthPort: number;
}

async function ready({ child, lines }: Process): Promise<Ready> {
  const line = (): string | undefined => lines.find((one) => one.includes('injector ready'));
  await expect
    .poll(() => line() !== undefined || child.exitCode !== null, { timeout: 20_000 })
    .toBe(true);
  if (child.exitCode !== null) throw new Error(lines.join('\n'));
  return JSON.parse(line() ?? '') as Ready;
}

async function review(port: number, path: string, body: string): Promise<ReviewAnswer> {
  const reply = await requestJson({
    url: `https://127.0.0.1:${port}${path}`,
    method: 'POST',
    body: JSON.parse(body),
    ca: await ca.bundle(),
    checkIdentity: ({ raw }) =>
      svidUri(new X509Certificate(raw)) === identity ? undefined : new Error('another identity'),
    timeoutMs: 5000,
  });
  return (reply.body as { response: ReviewAnswer }).response;
}

test('it serves with a certificate of the CA, injects, validates, and ends in order', async () => {
  const injector = run({ SELVAGE_INJECT_IMAGE: 'here/selvage:9' });
  const { port, healthPort } = await ready(injector);
  const { allowed, patch = '' } = await review(port, '/inject', reviewOf(pod()));
  expect(allowed).toBe(true);
  expect(Buffer.from(patch, 'base64').toString('utf8')).toContain('here/selvage:9');
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'a', namespace: 'shop' },
    spec: { action: 'DENY' },
  };
  expect(await review(port, '/validate', reviewOf(policy))).toMatchObject({ allowed: false });
  const health = (path: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${healthPort}${path}`);
  expect((await health('/healthz/ready')).status).toBe(200);
  expect(await (await health('/metrics')).text()).toContain(
    'selvage_injector_reviews_total{webhook="inject",outcome="injected",reason=""} 1',
  );
  injector.child.kill('SIGTERM');
  const [code] = (await once(injector.child, 'exit')) as [number | null];
  expect(code).toBe(0);
});

test('without its CA it lives, says that it is not ready, and tries on', async () => {
  const port = await freePort();
  const away = run({ SELVAGE_CA: 'https://127.0.0.1:9', SELVAGE_HEALTH: `127.0.0.1:${port}` });
  await expect
    .poll(() => away.lines.some((line) => line.includes('no certificate from the CA')), {
      timeout: 20_000,
    })
    .toBe(true);
  expect((await fetch(`http://127.0.0.1:${port}/healthz/ready`)).status).toBe(503);
  expect((await fetch(`http://127.0.0.1:${port}/healthz/live`)).status).toBe(200);
});

test('all wrong settings are named at once', async () => {
  const wrong = run({
    SELVAGE_CA: 'http://ca',
    SELVAGE_INJECT_CAPTURE: 'magic',
    SELVAGE_KUBERNETES: 'in-cluster',
  });
  const [code] = (await once(wrong.child, 'close')) as [number | null];
  expect(code).toBe(2);
  const said = wrong.lines.join('\n');
  for (const name of ['SELVAGE_CA:', 'SELVAGE_INJECT_CAPTURE:', 'SELVAGE_KUBERNETES:']) {
    expect(said).toContain(name);
  }
});
