// A mesh that runs, asked by the commands that a person types: why, tap, top, edges, explain --live.
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { edges } from '#cli/edges.ts';
import { explain } from '#cli/explain.ts';
import { tap } from '#cli/tap.ts';
import { top } from '#cli/top.ts';
import { why } from '#cli/why.ts';
import { testIo } from '#test/cli/output.ts';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.start();
});
afterAll(() => mesh.stop());

type Command = (args: string[], io: ReturnType<typeof testIo>) => Promise<number>;

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(command: Command, ...args: string[]): Promise<Ran> {
  const io = { ...testIo(), env: mesh.env };
  const status = await command(args, io);
  return { status, out: io.out(), err: io.err() };
}

/** web may not charge a card. */
async function refused(): Promise<string> {
  const reply = await mesh.call('web', 'POST', 'http://payments.payments:8080/api/v1/charges');
  expect(reply.status).toBe(403);
  return reply.headers.get('x-selvage-id') ?? '';
}

/** Calls while a command watches. */
async function during<T>(watching: Promise<T>, call: () => Promise<unknown>): Promise<T> {
  const state = { over: false };
  const end = (): void => void (state.over = true);
  watching.then(end, end);
  while (!state.over) {
    await call();
    await sleep(20);
  }
  return watching;
}

test('why tells which rule was nearest, where it is written, and what to do', async () => {
  const id = await refused();
  const { status, out, err } = await run(why, id);
  expect([status, err]).toEqual([0, `asking the mesh of mesh (pid ${process.pid})\n`]);
  expect(out).toMatch(
    '✗ DENIED 403  POST /api/v1/charges from web/web to payments/payments:8080\n',
  );
  expect(out).toMatch(/nearest: payments\/admit-billing rule 0 \(mesh\/policies\.yaml:\d+\)\n/);
  expect(out).toMatch('    ✓ to.operation.paths\n');
  expect(out).toMatch('        got     cluster.local/ns/web/sa/web-sa\n');
  expect(out).toMatch('next: if the call is right, add what is missing to an ALLOW policy');
});

test('why without an id lists it first', async () => {
  const id = await refused();
  const { out } = await run(why, '--limit', '1');
  expect(out.split('\n')[1]).toMatch(
    new RegExp(`^\\d+s +${id} +web/web +payments/payments +POST /api/v1/charges +403 +no ALLOW`),
  );
});

test('why of a failure says what failed, and its caller is not told to look at policies', async () => {
  const reply = await mesh.call('web', 'GET', 'http://nobody.web:8080/');
  const { status, out } = await run(why, reply.headers.get('x-selvage-id') ?? '');
  expect(status).toBe(0);
  expect(out).toMatch(/^✗ FAILED 50\d {2}GET \/ from web\/web to nobody\.web:8080\n/);
  expect(out).toMatch('next: no service of the mesh has this host');
});

test('an id of nobody is told as such', async () => {
  const { status, err } = await run(why, '0000000000');
  expect(status).toBe(1);
  expect(err).toMatch('none of 3 sidecars knows 0000000000');
});

test('tap shows the calls of a workload as they happen, by what is asked for', async () => {
  const tapping = run(tap, 'payments/payments', '--status', '4xx', '--limit', '2');
  const { status, out } = await during(tapping, async () => {
    await mesh.charge();
    await refused();
  });
  expect(status).toBe(0);
  const line =
    /^[\d:.]{12} {2}in {3}web\/web -> payments\/payments {2}POST \/api\/v1\/charges {2}403 {2}.*nearest is payments\/admit-billing rule 0/;
  const lines = out.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  for (const one of lines) expect(one).toMatch(line);
});

test('top counts the routes that are called meanwhile', async () => {
  const watching = run(top, 'payments', '--once', '--seconds', '1');
  const { status, out } = await during(watching, () => mesh.charge());
  expect(status).toBe(0);
  expect(out).toMatch(
    /^billing\/billing {2}payments\/payments {2}POST {4}\/api\/v1\/charges {2}\d+ .* 100\.00% {2}0$/m,
  );
});

test('edges tell who calls whom, by which identities, how often', async () => {
  await refused();
  const watching = run(edges, '--seconds', '1');
  const { status, out } = await during(watching, () => mesh.charge());
  expect(status).toBe(0);
  expect(out).toMatch(
    /^billing\/billing +payments\/payments +payments\.payments +http +\d+\.\d +100\.00% .*mutual TLS, billing\/billing-sa -> payments\/payments-sa$/m,
  );
  const total = await run(edges, '--total', '--output', 'json', '-n', 'payments');
  const rows = JSON.parse(total.out) as { source: string; refusals: number }[];
  expect(rows.find(({ source }) => source === 'web/web')?.refusals).toBeGreaterThan(0);
});

test('explain --live asks the sidecar that enforces, and sees an edit when it does', async () => {
  const call = ['--live', '--from', 'web/web-sa', '--to', 'payments/payments'];
  const what = ['--method', 'POST', '--path', '/api/v1/charges'];
  const denied = await run(explain, ...call, ...what);
  expect(denied.status).toBe(1);
  expect(denied.out).toMatch('✗ DENIED 403  POST /api/v1/charges from web/web-sa');
  expect(denied.out).toMatch(/ {2}enforced by payments\/payments-0 \(snapshot \d+\)\n/);
  await mesh.write(
    'more.yaml',
    `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: admit-all, namespace: payments }
spec: { rules: [{}] }
`,
  );
  const allowed = await eventually(
    () => run(explain, ...call, ...what),
    ({ status }) => status === 0,
  );
  expect(allowed.out).toMatch('allowed by payments/admit-all rule 0');
});
