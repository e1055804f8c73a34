// What an operator does to a policy that allows too much: record, suggest, diff, replay, try, enforce; and no caller notices.
import { cp, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { check } from '#cli/check.ts';
import { diff } from '#cli/diff.ts';
import { dryRun } from '#cli/dry-run.ts';
import { record } from '#cli/record.ts';
import { replay } from '#cli/replay.ts';
import { loopbackSidecar } from '#cli/sidecars/loopback.ts';
import type { OpenSidecars } from '#cli/sidecars/open.ts';
import { suggest } from '#cli/suggest.ts';
import { tokenFrom } from '#cli/up/token-from.ts';

import { testIo, type TestIo } from '../cli/output.ts';
import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
let work = '';
let token = '';
const loose = (text: string): string =>
  text
    .replace('methods: ["POST"]', 'methods: ["POST", "GET", "DELETE"]')
    .replace('paths: ["/api/v1/charges"]', 'paths: ["/api/*"]');

beforeAll(async () => {
  mesh = await TestMesh.start();
  work = await mkdtemp(join(tmpdir(), 'selvage-tighten-'));
  mesh.running.follow();
  await edit('policies.yaml', loose);
  await eventually(
    () => mesh.call('billing', 'DELETE', 'http://payments.payments:8080/api/v1/nothing'),
    ({ status }) => status === 404,
  );
  token = await tokenFrom(
    'http://web.web:8080/login?user=ada',
    mesh.pod('web').sidecar?.outbound ?? 0,
  );
});
afterAll(async () => {
  await mesh.stop();
  await rm(work, { recursive: true, force: true });
});

const open: OpenSidecars = async () => ({
  title: 'the mesh of a test',
  list: async (namespace) =>
    mesh.running.pods
      .filter((pod) => pod.sidecar !== null && [undefined, pod.namespace].includes(namespace))
      .map(({ namespace: own, workload, name, sidecar }) =>
        loopbackSidecar({ namespace: own, workload, pod: name, admin: sidecar?.admin ?? 0 }),
      ),
  close: () => Promise.resolve(),
});

function io(): TestIo {
  return { ...testIo(), cwd: work };
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const path = join(mesh.folder, file);
  const text = await readFile(path, 'utf8').catch(() => '');
  await writeFile(`${path}.part`, change(text));
  await rename(`${path}.part`, path);
}

/** Again and again until a command has seen enough. */
async function callingUntil<T>(
  done: Promise<T>,
  calls: readonly (() => Promise<unknown>)[],
): Promise<T> {
  const state = { over: false };
  const end = (): void => void (state.over = true);
  done.then(end, end);
  while (!state.over) for (const call of calls) await call();
  return done;
}

const refund = () => mesh.call('web', 'POST', 'http://payments.payments:8080/api/v1/refunds');
const invoices = (path: string) => () =>
  mesh.call('web', 'GET', `http://billing.billing:8080${path}`, [
    ['authorization', `Bearer ${token}`],
  ]);

test('calls are recorded, without the token that they carry', async () => {
  const charges = record(
    ['payments/payments', '-o', 'payments.ndjson', '--limit', '6'],
    io(),
    open,
  );
  expect(await callingUntil(charges, [() => mesh.charge(), refund])).toBe(0);
  const out = io();
  const reads = record(['billing/billing', '-o', 'billing.ndjson', '--limit', '8'], out, open);
  const paths = ['/invoices', '/invoices/1', '/invoices/2', '/invoices/3'].map(invoices);
  expect(await callingUntil(reads, paths)).toBe(0);
  expect(out.err()).toMatch('8 calls recorded');
  const text = await readFile(join(work, 'billing.ndjson'), 'utf8');
  expect(text).toMatch('"subject":"ada"');
  expect(text).not.toMatch(token.split('.')[2] ?? token);
  expect(text).toMatch('(redacted)');
  expect((await stat(join(work, 'billing.ndjson'))).mode & 0o077).toBe(0);
});

test('the suggested policies are valid, narrower, and change no recorded call', async () => {
  await cp(mesh.folder, join(work, 'old'), { recursive: true });
  await cp(mesh.folder, join(work, 'new'), { recursive: true });
  const policies = await readFile(join(work, 'new/policies.yaml'), 'utf8');
  await writeFile(join(work, 'new/policies.yaml'), withoutAllow(policies));
  const written = io();
  const files = ['payments.ndjson', 'billing.ndjson'];
  expect(await suggest([...files, '-o', 'new/suggested'], written, open)).toBe(0);
  const text = await readFile(join(work, 'new/suggested/billing-billing-observed.yaml'), 'utf8');
  expect(text).toMatch('https://shop.example/*');
  expect(text).toMatch('/invoices/{*}');

  const checked = io();
  expect(await check(['new'], checked)).toBe(0);
  const replayed = io();
  expect(await replay([...files, '--policies', 'new'], replayed)).toBe(0);
  expect(replayed.out()).toMatch('14 calls: 0 would be denied, 0 would be allowed, 14 as before');
  const compared = io();
  expect(await diff(['old', 'new'], compared)).toBe(1);
  expect(compared.out()).toMatch('now DENIED');
  expect(compared.out()).not.toMatch('now ALLOWED');
  expect(compared.out()).not.toMatch('not proven');
});

test('under trial they would change nothing that callers do, and in force they break none of them', async () => {
  const files = ['payments.ndjson', 'billing.ndjson'];
  await suggest([...files, '--dry-run', '-o', 'trial'], io(), open);
  const trial = await readFile(join(work, 'trial/payments-payments-observed.yaml'), 'utf8');
  await edit('trial.yaml', () => trial);
  await eventually(
    () => seenDryRun(() => mesh.charge()),
    (out) =>
      out.status === 0 && out.err.includes('1 of them to workloads with a policy under trial'),
  );
  const uncovered = await seenDryRun(() =>
    mesh.call('billing', 'DELETE', 'http://payments.payments:8080/api/v1/nothing'),
  );
  expect(uncovered.out).toMatch(/NOT COVERED +DELETE \/api\/v1\/nothing from billing\/billing-sa/);

  await edit('trial.yaml', () => trial.replace(/ +annotations:\n.*dry-run.*\n/, ''));
  await edit('policies.yaml', withoutAllow);
  await eventually(
    () => mesh.call('billing', 'DELETE', 'http://payments.payments:8080/api/v1/nothing'),
    ({ status }) => status === 403,
  );
  expect((await mesh.charge()).status).toBe(201);
});

async function seenDryRun(call: () => Promise<unknown>) {
  const out = io();
  const seen = dryRun(['payments/payments', '--limit', '1'], out, open);
  const status = await callingUntil(seen, [call]);
  return { status, out: out.out(), err: out.err() };
}

/** The shop without the policy that lets calls into payments, and the one of billing. */
function withoutAllow(text: string): string {
  return text
    .split(/^---$/m)
    .filter((document) => !/name: admit-(billing|web)$/m.test(document))
    .join('---');
}
