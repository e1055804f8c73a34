// Two CAs before a real API server: one root, one trust bundle in every namespace, a rotation that both follow.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { splitPem } from '#ca/issuer.ts';
import { verifyChain } from '#test/ca/fixture.ts';
import { reasonToSkip, startCaRig, type CaRig, type RunningCa } from './ca-rig.ts';

const reason = await reasonToSkip();
if (reason !== null) console.warn(`skipped: ${reason}`);

let rig: CaRig;
let one: RunningCa;
let two: RunningCa;
const later = `selvage-later-${Date.now()}`;

beforeAll(async () => {
  if (reason !== null) return;
  rig = await startCaRig();
  [one, two] = await Promise.all([rig.startCa('ca-1'), rig.startCa('ca-2')]);
});

afterAll(async () => {
  if (reason !== null) return;
  await rig.client.delete(`/api/v1/namespaces/${later}`).catch(() => undefined);
  await rig.close();
});

const leads = ({ lines }: RunningCa): boolean =>
  lines.some((line) => line.includes('leads from now'));

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(50);
}

test.skipIf(reason !== null)('two that start at once share one root', async () => {
  const pod = await rig.createPod('orders');
  const token = await rig.token({ pod });
  const [a, b] = [await rig.sign(one, token), await rig.sign(two, token)];
  expect([a.status, b.status]).toEqual([200, 200]);
  expect(a.body.trustBundle).toBe(b.body.trustBundle);
  expect(splitPem(await rig.roots()).length).toBe(1);
});

test.skipIf(reason !== null)('every namespace gets the trust bundle, also a new one', async () => {
  const roots = await rig.roots();
  await until(async () => (await rig.bundleIn('kube-system')) === roots);
  await until(async () => (await rig.bundleIn(rig.namespace)) === roots);
  await rig.client.create('/api/v1/namespaces', { metadata: { name: later } });
  await until(async () => (await rig.bundleIn(later)) === roots);
  expect(splitPem(roots).length).toBe(1);
});

test.skipIf(reason !== null)('a bundle that is edited or deleted is made right again', async () => {
  const roots = await rig.roots();
  const path = `/api/v1/namespaces/${later}/configmaps/selvage-ca-root-cert`;
  await until(async () => (await rig.bundleIn(later)) === roots);
  await rig.client.patch(path, { data: { 'root-cert.pem': 'mine' } }, 'merge');
  await until(async () => (await rig.bundleIn(later)) === roots);
  await rig.client.delete(path);
  await until(async () => (await rig.bundleIn(later)) === roots);
  expect(splitPem(roots).length).toBe(1);
});

test.skipIf(reason !== null)(
  'a rotation is followed by both, and no certificate breaks',
  async () => {
    const token = await rig.token({ pod: await rig.createPod('orders') });
    const before = (await rig.sign(two, token)).body;
    await step(one, 'publish');
    await until(async () => splitPem((await rig.bundleIn(later)) ?? '').length === 2);
    await until(async () => (await roles(two)) === 'signing,published');
    await step(two, 'switch');
    await until(async () => (await roles(one)) === 'retired,signing');
    for (const ca of [one, two]) {
      const after = (await rig.sign(ca, token)).body;
      expect(verifyChain(after.chain, before.trustBundle, 'sslserver')).toContain('OK');
      expect(verifyChain(before.chain, after.trustBundle, 'sslserver')).toContain('OK');
    }
  },
);

test.skipIf(reason !== null)('one that is left writes on when the other ends', async () => {
  const leader = leads(one) ? one : two;
  leader.child.kill('SIGTERM');
  await once(leader.child, 'exit');
  await rig.client.delete(`/api/v1/namespaces/${later}/configmaps/selvage-ca-root-cert`);
  await until(async () => splitPem((await rig.bundleIn(later)) ?? '').length === 2);
  expect([...one.lines, ...two.lines].join('')).not.toContain('PRIVATE KEY');
});

async function step({ adminPort }: RunningCa, name: string): Promise<void> {
  const url = `http://127.0.0.1:${adminPort}/rotate?step=${name}`;
  const reply = await fetch(url, { method: 'POST' });
  expect(reply.status).toBe(200);
}

async function roles({ adminPort }: RunningCa): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${adminPort}/roots`);
  return ((await reply.json()) as { role: string }[]).map(({ role }) => role).join();
}
