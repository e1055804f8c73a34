// Policies in a user's own tests, by the package's `selvage/test`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { mesh } from '#cli/library.ts';

const shop = join(import.meta.dirname, '../data/shop');
const charge = {
  from: 'shop/web',
  to: 'billing/payments',
  method: 'POST',
  path: '/v1/charges',
};

test('a call has a decision, the policy and rule that made it, and a reason with its line', async () => {
  const m = await mesh(shop);
  expect(await m.call(charge)).toMatchObject({
    decision: 'allow',
    policy: 'billing/admit',
    rule: 0,
  });
  const denied = await m.call({ ...charge, path: '/v2/charges' });
  expect(denied).toMatchObject({ decision: 'deny', status: 403, policy: null });
  expect(denied.nearest?.missed).toMatchObject([
    { field: 'to.operation.paths', got: '/v2/charges' },
  ]);
  expect(denied.reason).toMatch(/policies\.yaml:\d+/);
});

test('allows and denies resolve when they are right', async () => {
  const m = await mesh(shop);
  expect(await m.allows(charge)).toMatchObject({ decision: 'allow' });
  const traced = await m.denies({ ...charge, method: 'TRACE' }, 'billing/no-traces');
  expect(traced).toMatchObject({ decision: 'deny', rule: 0 });
  expect(await m.denies({ ...charge, from: 'none' })).toMatchObject({ decision: 'closed' });
});

test('allows and denies throw the whole reason when they are wrong', async () => {
  const m = await mesh(shop);
  const other = { ...charge, path: '/v2/charges' };
  await expect(m.allows(other)).rejects.toThrow(
    /not allowed\n✗ DENIED 403[^]*nearest: billing\/admit/,
  );
  await expect(m.denies(charge)).rejects.toThrow(/not denied\n✓ ALLOWED[^]*billing\/admit rule 0/);
  await expect(m.denies(other, 'billing/no-traces')).rejects.toThrow('denied by billing/no-traces');
});

test('an unknown workload is an error, not a denial', async () => {
  const m = await mesh(shop);
  await expect(m.denies({ ...charge, to: 'billing/x' })).rejects.toThrow('no workload billing/x');
});

test('a mesh with an invalid policy is not tested without it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-library-'));
  writeFileSync(
    join(folder, 'bad.yaml'),
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: DENY}\n',
  );
  await expect(mesh(shop, folder)).rejects.toThrow('bad.yaml:');
  rmSync(folder, { recursive: true });
});
