// `selvage install` and `uninstall` against an API server: what is made, left alone, refused, waited for and taken away.
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Cluster } from '#cli/cluster/cluster.ts';
import { install } from '#cli/install.ts';
import { crdObjects, systemObjects } from '#cli/install/objects.ts';
import { defaultOptions } from '#cli/install/options.ts';
import { parts } from '#cli/install/parts.ts';
import { uninstall } from '#cli/uninstall.ts';
import { createKubeClient, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import { FakeApi, type NewObject } from '#test/runtime/kubernetes/fake-api.ts';

import { testIo } from './output.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const deployments = '/apis/apps/v1/deployments';
const policies = 'authorizationpolicies.security.istio.io';
const objects = crdObjects().length + 1 + systemObjects(defaultOptions('0')).length;

let api: FakeApi;
let client: KubeClient;

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
  // The real one says so a moment after it was made.
  api.intercept = ({ method, path }) => {
    const crd =
      method === 'GET' && path.startsWith(definitions) && api.get(definitions, last(path));
    if (crd === false || crd === undefined) return undefined;
    const status = { conditions: [{ type: 'Established', status: 'True' }] };
    return { status: 200, body: { ...crd, status } };
  };
});
afterEach(async () => {
  await client.close();
  await api.close();
});

const open = (): Promise<Cluster> =>
  Promise.resolve({
    client,
    server: api.url,
    namespace: 'default',
    exec: () => Promise.reject(new Error('nothing is run in pods')),
    follow: () => Promise.reject(new Error('nothing is run in pods')),
    close: () => Promise.resolve(),
  });

async function run(
  command: typeof install,
  ...args: string[]
): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await command(args, io, open);
  return { status, out: io.out(), err: io.err() };
}

test('into an empty cluster everything is created, definitions first and webhooks last', async () => {
  const { status, out } = await run(install);
  const lines = out.trim().split('\n');
  expect(status).toBe(0);
  expect(lines).toHaveLength(objects);
  expect(lines.filter((line) => !line.endsWith(' created'))).toEqual([]);
  expect(lines[0]).toBe(`CustomResourceDefinition/${policies} created`);
  expect(lines.at(-1)).toBe('ValidatingWebhookConfiguration/selvage-injector created');
});

test('a second time nothing changes, and another image changes what runs it', async () => {
  await run(install);
  const again = (await run(install)).out.trim().split('\n');
  expect(again.filter((line) => !line.endsWith(' unchanged'))).toEqual([]);
  const other = (await run(install, '--image', 'registry.example/selvage:2')).out;
  expect(other.split('\n').filter((line) => line.endsWith(' configured'))).toEqual([
    'ConfigMap/selvage-injector configured',
    ...parts.map(({ name }) => `Deployment/${name} configured`),
  ]);
});

test("what is somebody else's is not touched: the command stops there and says so", async () => {
  const theirs = { metadata: { name: 'selvage-ca', namespace: 'selvage-system' }, spec: {} };
  api.put(deployments, theirs);
  const { status, err } = await run(install);
  expect(status).toBe(2);
  expect(err).toContain('Deployment selvage-ca is there, without the labels of Selvage');
  expect(api.get(deployments, 'selvage-ca', 'selvage-system')?.['spec']).toEqual({});
  expect(api.get(deployments, 'selvage-control', 'selvage-system')).toBeUndefined();
});

test("Istio's definitions are used as they are, and a namespace made before is taken", async () => {
  const spec = { group: 'security.istio.io' };
  api.put(definitions, { metadata: { name: policies }, spec });
  api.put('/api/v1/namespaces', { metadata: { name: 'selvage-system' } });
  const { status, out } = await run(install);
  expect(status).toBe(0);
  expect(out).toContain(`CustomResourceDefinition/${policies} used as it is\n`);
  expect(out).toContain('Namespace/selvage-system configured\n');
  expect(api.get(definitions, policies)?.['spec']).toEqual(spec);
});

test('--replicas is of all parts, after that of an overlay', async () => {
  await run(install, '--overlay', 'dev', '--replicas', '3');
  const wanted = api.list(deployments).map((one) => (one['spec'] as { replicas: number }).replicas);
  expect(wanted).toEqual([3, 3, 3]);
});

test.each([
  ['--timeout', 'soon', '--timeout is a time like 90s or 2m, not "soon"'],
  ['--timeout', '', '--timeout is a time like 90s or 2m, not ""'],
  ['--replicas', '0', '--replicas is a number from 1 to 99, not "0"'],
  ['--replicas', 'two', '--replicas is a number from 1 to 99, not "two"'],
  ['--overlay', 'prod', 'there is no overlay "prod"'],
])('%s "%s" is wrong usage', async (option, value, message) => {
  const { status, err } = await run(install, option, value);
  expect(status).toBe(2);
  expect(err).toContain(message);
  expect(api.seen).toEqual([]);
});

test('--wait tells how far each part is, until all run', async () => {
  await run(install);
  const waiting = run(install, '--wait');
  await expect
    .poll(() => api.seen.filter(({ path }) => path.endsWith('/deployments/selvage-ca')))
    .not.toEqual([]);
  for (const one of api.list(deployments)) api.put(deployments, running(one));
  const { status, out } = await waiting;
  expect(status).toBe(0);
  expect(out).toMatch(/^PART +READY$/m);
  expect(out.match(/^selvage-(ca|control|injector) +2\/2$/gm)).toHaveLength(3);
  expect(out).toMatch(/\nSelvage runs\n$/);
});

test('--wait gives up in time and names what is late', async () => {
  await run(install);
  const ca = api.get(deployments, 'selvage-ca', 'selvage-system');
  api.put(deployments, running(ca!));
  const { status, err } = await run(install, '--wait', '--timeout', '1ms');
  expect(status).toBe(1);
  expect(err).toContain(
    'not ready after 0.001 s: selvage-control 0/2, selvage-injector 0/2; try selvage doctor',
  );
});

test('uninstall takes the webhooks first, and leaves definitions and the namespace', async () => {
  await run(install);
  const { status, out } = await run(uninstall);
  const lines = out.trim().split('\n');
  expect(status).toBe(0);
  expect(lines).toHaveLength(systemObjects(defaultOptions('0')).length);
  expect(lines[0]).toBe('ValidatingWebhookConfiguration/selvage-injector deleted');
  expect(api.list(deployments)).toEqual([]);
  expect(api.list(definitions)).toHaveLength(crdObjects().length);
  expect(api.get('/api/v1/namespaces', 'selvage-system')).toBeDefined();
});

test('uninstall of what is not there does nothing, and what is not ours stays', async () => {
  expect(await run(uninstall)).toEqual({ status: 0, out: '', err: '' });
  api.put('/api/v1/services', { metadata: { name: 'selvage-ca', namespace: 'selvage-system' } });
  const { status, err } = await run(uninstall);
  expect(status).toBe(2);
  expect(err).toContain('Service selvage-ca is there, without the labels of Selvage');
  expect(api.get('/api/v1/services', 'selvage-ca', 'selvage-system')).toBeDefined();
});

function running(deployment: KubeObject): NewObject {
  const { metadata } = deployment;
  const observedGeneration = metadata.generation;
  const status = { updatedReplicas: 2, availableReplicas: 2, observedGeneration };
  return { ...deployment, metadata: { ...metadata }, status };
}

function last(path: string): string {
  return path.split('/').at(-1) ?? '';
}
