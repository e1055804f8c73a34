import { afterEach, beforeEach, expect, test } from 'vitest';

import { bundlePatch, CaBundleKeeper } from '#injector/ca-bundle.ts';
import { mutatingWebhooks, validatingWebhooks } from '#injector/webhooks.ts';
import { createKubeClient, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';

import { FakeApi, type NewObject, status } from '../runtime/kubernetes/fake-api.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const mutating = `${group}/mutatingwebhookconfigurations`;
const validating = `${group}/validatingwebhookconfigurations`;
const name = 'selvage-injector';
const target = { service: { name, namespace: 'selvage-system' } };

let api: FakeApi;
let client: KubeClient;
let keeper: CaBundleKeeper;
let bundle = '';
const writes: string[] = [];

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
  bundle = 'first root';
  writes.length = 0;
  keeper = new CaBundleKeeper({
    client,
    name,
    trustBundle: () => bundle,
    onWrite: (outcome) => writes.push(outcome),
    log: silentLog,
  });
});

afterEach(async () => {
  keeper.stop();
  await client.close();
  await api.close();
});

interface Webhooks {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

function bundles(collection: string): string[] {
  const { webhooks } = api.get(collection, name) as unknown as Webhooks;
  return webhooks.map(({ clientConfig: { caBundle = '' } }) =>
    Buffer.from(caBundle, 'base64').toString('utf8'),
  );
}

function all(text: string): string[] {
  return Array.from({ length: 5 }, () => text);
}

const put = (collection: string, configuration: object): KubeObject =>
  api.put(collection, configuration as NewObject);

test('both configurations get the bundle, and the next one when it changes', async () => {
  put(mutating, mutatingWebhooks(target));
  put(validating, validatingWebhooks(target));
  await keeper.start();
  await expect.poll(() => bundles(mutating)).toEqual(all('first root'));
  await expect.poll(() => bundles(validating)).toEqual(['first root']);
  bundle = 'first root, second root';
  keeper.update();
  await expect.poll(() => bundles(mutating)).toEqual(all(bundle));
  await expect.poll(() => bundles(validating)).toEqual([bundle]);
  // The API server has it before its answer is here.
  await expect.poll(() => writes).toEqual(Array.from({ length: 4 }, () => 'written'));
});

test('a configuration that comes later, or is applied anew without the bundle, gets it', async () => {
  await keeper.start();
  put(mutating, mutatingWebhooks(target));
  await expect.poll(() => bundles(mutating)).toEqual(all('first root'));
  put(mutating, mutatingWebhooks(target));
  await expect.poll(() => bundles(mutating)).toEqual(all('first root'));
});

test('the configurations of others are left alone', async () => {
  const others = mutatingWebhooks(target, 'other') as KubeObject;
  put(mutating, others);
  put(mutating, mutatingWebhooks(target));
  await keeper.start();
  await expect.poll(() => bundles(mutating)).toEqual(all('first root'));
  expect(api.get(mutating, 'other')).toMatchObject({ webhooks: others['webhooks'] });
});

test('a write that fails is tried again', async () => {
  put(mutating, mutatingWebhooks(target));
  let failures = 3;
  api.intercept = ({ method }) =>
    method === 'PATCH' && failures-- > 0 ? status(403, 'Forbidden', 'no rights yet') : undefined;
  await keeper.start();
  await expect.poll(() => bundles(mutating), { timeout: 5000 }).toEqual(all('first root'));
  await expect.poll(() => writes).toEqual(['failed', 'failed', 'failed', 'written']);
});

test('a patch holds only for the version that it was made from', () => {
  const configuration: KubeObject = {
    metadata: { name, resourceVersion: '7' },
    webhooks: [{ clientConfig: {} }, { clientConfig: { caBundle: 'eA==' } }, {}],
  };
  expect(bundlePatch(configuration, 'x')).toEqual([
    { op: 'test', path: '/metadata/resourceVersion', value: '7' },
    { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: 'eA==' },
  ]);
  expect(bundlePatch({ metadata: { name } }, 'x')).toBeNull();
});
