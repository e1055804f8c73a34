import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { describeInCluster, kubectl, until } from './cluster.ts';

const root = join(import.meta.dirname, '../../..');
const shop = join(root, 'manifests/examples/shop');
const namespaces = ['web', 'billing', 'payments'];

/** The status of a charge at payments, asked from the application of a namespace. */
async function charge(from: string): Promise<string> {
  const script = `fetch('http://payments.payments:8080/api/v1/charges', { method: 'POST' })
    .then((reply) => console.log(reply.status), () => console.log('none'))`;
  return kubectl('-n', from, 'exec', `deployment/${from}`, '-c', from, '--', 'node', '-e', script);
}

async function selvage(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'cli/main.ts'), ...args]);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return text;
}

describeInCluster('the shop', () => {
  beforeAll(async () => {
    await kubectl('apply', '-f', join(shop, 'shop.yaml'));
    await kubectl('apply', '-f', join(shop, 'policies.yaml'));
    for (const name of namespaces) {
      await kubectl('-n', name, 'rollout', 'status', `deployment/${name}`, '--timeout=120s');
    }
  });
  // The docs' test makes namespaces of the same names.
  afterAll(() => kubectl('delete', 'namespace', ...namespaces));

  test('every policy is enforced, as selvage wait and kubectl tell', async () => {
    expect(await selvage('wait', 'AuthorizationPolicy/admit-billing', '-n', 'payments')).toContain(
      'enforced by 1 of 1 sidecar',
    );
    await until(
      'the column of kubectl get',
      () => kubectl('-n', 'payments', 'get', 'authorizationpolicy', 'admit-billing'),
      (table) => /admit-billing\s+ALLOW\s+True/.test(table),
    );
  });

  test('billing may charge a card, web may not, and the log says why', async () => {
    expect(await charge('billing')).toBe('201');
    expect(await charge('web')).toBe('403');
    const log = await until(
      'the access log of payments',
      () => kubectl('-n', 'payments', 'logs', 'deployment/payments', '-c', 'selvage-proxy'),
      (text) => text.includes('"response_code":403'),
      10_000,
    );
    const denied = log.split('\n').find((line) => line.includes('"response_code":403')) ?? '';
    expect(JSON.parse(denied)).toMatchObject({
      source_principal: 'spiffe://cluster.local/ns/web/sa/web-sa',
      why: expect.stringContaining('nearest is payments/admit-billing rule 0') as string,
    });
  });

  test('selvage explain --live says the same of the same call', async () => {
    const call = '--from web/web-sa --to payments/payments --method POST --path /api/v1/charges';
    const text = await selvage('explain', '--live', ...call.split(' '));
    expect(text).toContain('DENIED 403');
    expect(text).toContain('wanted  cluster.local/ns/billing/sa/billing-sa');
  });

  test('selvage status shows the three sidecars in sync, and the doctor finds nothing wrong', async () => {
    const table = await until(
      'all in sync',
      () => selvage('status'),
      (text) => /(\d+) of \1 sidecars in sync/.test(text),
    );
    for (const name of namespaces) expect(table).toMatch(new RegExp(`^${name}/${name}-`, 'm'));
    expect(await selvage('doctor')).toContain('no problem');
  });
});
