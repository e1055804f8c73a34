// Secrets of API keys: control asks for those that policies name, one by one, and keeps no key of them.
import { afterEach, beforeEach, expect, test } from 'vitest';

import { collectMesh } from '#api/mesh.ts';
import { KubernetesSource } from '#control/sources/kubernetes.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';
import { FakeApi, status, type NewObject } from '#test/runtime/kubernetes/fake-api.ts';
import { hashOf } from '#test/sidecar/credentials/keys.ts';

import { until } from '../../push/fixtures.ts';

const policies = '/apis/selvage.dev/v1alpha1/apikeyauthentications';
const secrets = '/api/v1/secrets';
const path = '/api/v1/namespaces/shop/secrets';

let api: FakeApi;
let client: KubeClient;
let source: KubernetesSource;
beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
  source = new KubernetesSource({
    client,
    namespace: 'selvage-system',
    onChange: () => undefined,
    log: silentLog,
    timing: { quietMs: 20, waitMaxMs: 300, endpointsQuietMs: 5, lookEveryMs: 50 },
  });
});
afterEach(async () => {
  source.stop();
  await client.close();
  await api.close();
});

function policy(...names: string[]): NewObject {
  return {
    apiVersion: 'selvage.dev/v1alpha1',
    kind: 'ApiKeyAuthentication',
    metadata: { name: 'partners', namespace: 'shop' },
    spec: { secrets: names.map((name) => ({ name })) },
  };
}

function secret(name: string, key: string, label = 'true'): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'shop', labels: { 'selvage.dev/api-keys': label } },
    data: { acme: Buffer.from(key).toString('base64') },
  };
}

function hashes(): unknown[] {
  return collectMesh(source.resources()).secrets.map(({ metadata, spec }) => [
    metadata.name,
    spec.hashes,
  ]);
}

test('those that are named are there at the end of the start, follow changes, and others are not asked for', async () => {
  api.put(policies, policy('keys'));
  api.put(secrets, secret('keys', 'one'));
  api.put(secrets, secret('other', 'two'));
  await source.start();
  expect(hashes()).toEqual([['keys', { acme: hashOf('one') }]]);
  api.put(secrets, secret('keys', 'three'));
  await until(() => JSON.stringify(hashes()).includes(hashOf('three')), 'the new key is there');
  api.put(policies, policy('other'));
  await until(
    () => JSON.stringify(hashes()) === JSON.stringify([['other', { acme: hashOf('two') }]]),
    'the other Secret is followed',
  );
  api.put(secrets, secret('other', 'two', 'no'));
  await until(() => hashes().length === 0, 'the label is gone');
  const paths = new Set(api.seen.map((request) => request.path));
  expect([...paths].filter((one) => one.endsWith('/secrets'))).toEqual([path]);
  expect(JSON.stringify(source.resources())).not.toContain(Buffer.from('two').toString('base64'));
});

test('one that may not be read keeps nobody waiting', async () => {
  api.put(policies, policy('keys'));
  api.intercept = (request) =>
    request.path === path ? status(403, 'Forbidden', 'not you') : undefined;
  await source.start();
  const asked = api.seen.filter((request) => request.path === path);
  expect(asked[0]?.query).toMatchObject({ fieldSelector: 'metadata.name=keys' });
  expect(source.resources().map(({ kind }) => kind)).toEqual(['ApiKeyAuthentication']);
});
