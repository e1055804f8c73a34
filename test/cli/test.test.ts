// What `selvage test` reports of PolicyTest documents.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { test as policyTest } from '#cli/test.ts';

import { testIo } from './output.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-policy-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await policyTest(args, io);
  return { status, out: io.out(), err: io.err() };
}

let files = 0;
function runCalls(calls: string): ReturnType<typeof run> {
  files += 1;
  const file = join(folder, `tests-${files}.yaml`);
  const head = 'apiVersion: selvage.dev/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\nspec:\n';
  writeFileSync(file, `${head}  calls:\n${calls}`);
  return run('shop/mesh.yaml', 'shop/policies.yaml', file);
}

test('tests that pass are ticked and counted, and the status is 0', async () => {
  const { status, out } = await run('shop');
  expect(out).toMatch('billing/charges\n  ✓ the shop charges\n');
  expect(out).toMatch('  ✓ TRACE / from shop/web to billing/payments: deny\n');
  expect(out).toMatch(/9 passed, 0 failed\n$/);
  expect(status).toBe(0);
});

test('a failure says what was expected, what came, and why', async () => {
  const { status, out } = await runCalls(
    '    - {from: shop/web, to: billing/payments, path: /v1/charges, expect: allow}\n',
  );
  expect(status).toBe(1);
  expect(out).toMatch(/✗ GET \/v1\/charges from shop\/web to billing\/payments: allow \(.*:6\)/);
  expect(out).toMatch('expected allow, got deny');
  expect(out).toMatch('nearest: billing/admit rule 0');
  expect(out).toMatch('✗ to.operation.methods');
  expect(out).toMatch(/0 passed, 1 failed\n$/);
});

test('the right answer by the wrong policy fails', async () => {
  const { status, out } = await runCalls(
    '    - {from: shop/web, to: billing/payments, method: TRACE, expect: deny, by: billing/admit}\n',
  );
  expect(status).toBe(1);
  expect(out).toMatch('expected deny by billing/admit, got deny by billing/no-traces rule 0');
});

test('a call from or to nobody fails alone', async () => {
  const { status, out } = await runCalls(
    `    - {from: shop/web, to: billing/nobody, expect: deny}
    - {from: none, to: billing/payments, expect: closed}\n`,
  );
  expect(status).toBe(1);
  expect(out).toMatch(
    'there is no workload billing/nobody; workloads are billing/payments, shop/web',
  );
  expect(out).toMatch(/1 passed, 1 failed\n$/);
});

test.each([
  ['    - {from: a/b, to: c/d, expect: allow, methd: GET}\n', 'methd'],
  ['    - {from: a/b, to: c/d, expect: perhaps}\n', 'spec.calls.0.expect'],
  ['    - {from: a/b, to: c/d, expect: deny, by: someone}\n', 'namespace/policy'],
  ['    []\n', 'spec.calls'],
])('a document that is none is refused: %s', async (calls, message) => {
  const { status, out, err } = await runCalls(calls);
  expect(status).toBe(2);
  expect(out + err).toMatch(message);
});

test('no test, no file and no argument are status 2', async () => {
  const none = await run('shop/mesh.yaml');
  expect(none.status).toBe(2);
  expect(none.err).toMatch('no PolicyTest');
  expect((await run('nowhere')).status).toBe(2);
  expect((await run()).status).toBe(2);
  expect((await run('--x', 'shop')).status).toBe(2);
});
