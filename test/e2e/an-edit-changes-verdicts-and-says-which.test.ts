// The YAML is edited while the mesh runs: good edits are enforced and told, broken ones change nothing.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
let policies = '';
let original = '';
beforeAll(async () => {
  mesh = await TestMesh.start();
  policies = join(mesh.folder, 'policies.yaml');
  original = await readFile(policies, 'utf8');
  mesh.running.follow();
});
afterAll(() => mesh.stop());

/** Waits until a person would have read it. */
const said = async (pattern: RegExp): Promise<boolean> => {
  const text = await eventually(
    async () => mesh.output(),
    (output) => pattern.test(output),
  );
  return pattern.test(text);
};

test('a path that moves is enforced, and the verdicts that change are told with the rule', async () => {
  await writeFile(
    policies,
    original.replace('paths: ["/api/v1/charges"]', 'paths: ["/api/v2/charges"]'),
  );
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 403,
  );
  expect(
    await said(
      /allow -> deny +POST \/api\/v1\/charges from billing\/billing-sa to payments\/payments/,
    ),
  ).toBe(true);
  expect(
    await said(
      /deny -> allow +POST \/api\/v2\/charges from billing\/billing-sa .*admit-billing rule 0 \(mesh\/policies\.yaml:32\)/,
    ),
  ).toBe(true);
  expect(await said(/enforced by 3 of 3 sidecars/)).toBe(true);
});

test('a broken file is told with its line and changes nothing', async () => {
  await writeFile(policies, `${original}  bad: [\n`);
  expect(await said(/mesh\/policies\.yaml:\d+/)).toBe(true);
  expect(await said(/the last good YAML stays in force/)).toBe(true);
  expect((await mesh.charge()).status).toBe(403);
});

test('mending it brings the old verdicts back', async () => {
  await writeFile(policies, original);
  await eventually(
    () => mesh.charge(),
    ({ status }) => status === 201,
  );
  expect(await said(/deny -> allow +POST \/api\/v1\/charges from billing\/billing-sa/)).toBe(true);
});

test('live traffic is shown with who decided', async () => {
  await mesh.charge();
  expect(
    await said(
      /billing\/billing-sa -> payments {2}POST \/api\/v1\/charges {2}201 allowed {2}payments\/admit-billing rule 0/,
    ),
  ).toBe(true);
});
