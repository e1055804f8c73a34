import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { AnyResource } from '#api/load.ts';
import { nameOf } from '#api/origin.ts';
import { KubernetesSource, type KubernetesTiming } from '#control/sources/kubernetes.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';
import { FakeApi, status } from '#test/runtime/kubernetes/fake-api.ts';

import { until } from '../push/fixtures.ts';

const pods = '/api/v1/pods';
const slices = '/apis/discovery.k8s.io/v1/endpointslices';
const configMaps = '/api/v1/configmaps';
const policies = '/apis/security.istio.io/v1/authorizationpolicies';

let api: FakeApi;
let client: KubeClient;
let source: KubernetesSource | null = null;
let changes = 0;

beforeEach(async () => {
  api = await FakeApi.start();
  client = createKubeClient(api.access());
  changes = 0;
});

afterEach(async () => {
  source?.stop();
  await client.close();
  await api.close();
});

function make(timing: Partial<KubernetesTiming> = {}): KubernetesSource {
  source = new KubernetesSource({
    client,
    namespace: 'selvage-system',
    onChange: () => (changes += 1),
    log: silentLog,
    timing: { quietMs: 30, waitMaxMs: 300, endpointsQuietMs: 5, lookEveryMs: 50, ...timing },
  });
  return source;
}

async function start(timing: Partial<KubernetesTiming> = {}): Promise<KubernetesSource> {
  const made = make(timing);
  await made.start();
  return made;
}

function policy(name: string, path: string, over: object = {}): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop', ...over },
    spec: { rules: [{ to: [{ operation: { paths: [path] } }] }] },
  };
}

function put(collection: string, object: object): void {
  api.put(collection, object as Parameters<FakeApi['put']>[1]);
}

function pod(
  name: string,
  over: { annotations?: object; spec?: object; status?: object } = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels: { app: 'web', 'pod-template-hash': '7d9f' },
      annotations: over.annotations ?? {},
      ownerReferences: [{ kind: 'ReplicaSet', name: 'web-7d9f', uid: 'u', controller: true }],
    },
    spec: over.spec ?? { serviceAccountName: 'web', containers: [{ name: 'app', image: 'x' }] },
    status: over.status ?? { phase: 'Running', podIP: '10.1.0.1' },
  };
}

function configMap(namespace: string, trustDomain: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace },
    data: { mesh: `trustDomain: ${trustDomain}\n` },
  };
}

function named(from: KubernetesSource): string[] {
  return from.resources().map(nameOf);
}

function only(from: KubernetesSource): AnyResource | undefined {
  return from.resources()[0];
}

test('what the cluster has is there when the start is over, by age, with its name for a place', async () => {
  put(policies, policy('young', '/', { creationTimestamp: '2026-02-02T00:00:00Z' }));
  put(policies, policy('old', '/', { creationTimestamp: '2026-01-01T00:00:00Z' }));
  put(pods, pod('web-7d9f-1'));
  const made = await start();
  expect(named(made)).toEqual([
    'Pod shop/web-7d9f-1',
    'AuthorizationPolicy shop/old',
    'AuthorizationPolicy shop/young',
  ]);
  const old = made.resources()[1];
  expect(old?.origin).toEqual({ file: 'AuthorizationPolicy shop/old', line: 0, lines: {} });
  expect(old?.metadata).toMatchObject({ generation: 1, uid: expect.any(String) });
  expect(only(made)?.metadata.annotations).toEqual({ 'selvage.dev/workload': 'web' });
  expect(changes).toBe(0);
});

test('several policies applied together are one change; an endpoint is told at once', async () => {
  const made = await start({ quietMs: 1000, waitMaxMs: 2000 });
  put(policies, policy('a', '/a'));
  await sleep(20);
  put(policies, policy('b', '/b'));
  put(slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: null,
    endpoints: [{ addresses: ['10.1.0.1'], conditions: { ready: true } }],
  });
  await until(() => changes === 1, 'endpoint');
  expect(named(made)).toEqual(['EndpointSlice shop/s']);
  await until(() => changes === 2, 'policies');
  expect(named(made)).toHaveLength(3);
  expect(changes).toBe(2);
});

test('a status is no change, nor what is not kept of a pod', async () => {
  put(policies, policy('a', '/a'));
  put(pods, pod('web-1'));
  const made = await start();
  const before = made.resources();
  put(policies, { ...policy('a', '/a'), status: { conditions: [{ type: 'Accepted' }] } });
  put(pods, pod('web-1', { annotations: { 'example.com/heartbeat': '1' } }));
  put(policies, policy('b', '/b'));
  await until(() => changes > 0, 'the other policy');
  const after = made.resources();
  expect(after).toHaveLength(3);
  expect(before.every((one) => after.includes(one))).toBe(true);
});

test('a policy that becomes invalid keeps its last good form, and the problem is listed until it is mended', async () => {
  put(policies, policy('a', '/good'));
  const made = await start();
  put(policies, { ...policy('a', '/x'), spec: { action: 'MAYBE' } });
  await until(() => made.problems().length > 0, 'problem');
  expect(JSON.stringify(only(made)?.spec)).toContain('/good');
  expect(made.problems()).toMatchObject([
    { severity: 'error', resource: 'AuthorizationPolicy shop/a' },
    { severity: 'warning', code: 'last-good-kept', resource: 'AuthorizationPolicy shop/a' },
  ]);
  expect(made.problems()[0]).not.toHaveProperty('file');
  put(policies, policy('a', '/mended'));
  await until(() => made.problems().length === 0, 'mended');
  expect(JSON.stringify(only(made)?.spec)).toContain('/mended');
  put(policies, { ...policy('a', '/x'), spec: { action: 'MAYBE' } });
  api.remove(policies, 'a', 'shop');
  await until(() => made.resources().length === 0, 'removed');
  put(policies, { ...policy('a', '/x'), spec: { action: 'MAYBE' } });
  await until(() => made.problems().length > 0, 'problem of the next');
  expect(made.resources()).toEqual([]);
});

test('kinds that are not installed are no mistake, and are read as soon as they are', async () => {
  api.missing.add(policies);
  api.missing.add(policies.replace('/v1/', '/v1beta1/'));
  put(policies, policy('a', '/a'));
  const made = await start();
  expect(made.problems()).toEqual([]);
  expect(made.resources()).toEqual([]);
  api.missing.clear();
  await until(() => made.resources().length === 1, 'installed');
  expect(changes).toBe(1);
});

test('an older version is read where only that is served', async () => {
  api.missing.add(policies);
  put(policies.replace('/v1/', '/v1beta1/'), {
    ...policy('a', '/a'),
    apiVersion: 'security.istio.io/v1beta1',
  });
  const made = await start();
  expect(named(made)).toEqual(['AuthorizationPolicy shop/a']);
  put(policies, policy('a', '/a'));
  api.missing.clear();
  await until(() => only(made)?.apiVersion === 'security.istio.io/v1', 'the newer version');
  expect(named(made)).toEqual(['AuthorizationPolicy shop/a']);
});

test('while the API server is away the start waits, and later the last state stays', async () => {
  put(policies, policy('a', '/a'));
  api.intercept = () => status(503, 'ServiceUnavailable', 'not now');
  const made = make();
  let started = false;
  const starting = made.start().then(() => (started = true));
  await sleep(300);
  expect(started).toBe(false);
  api.intercept = null;
  await starting;
  expect(named(made)).toEqual(['AuthorizationPolicy shop/a']);
  api.intercept = () => status(503, 'ServiceUnavailable', 'not now');
  api.cutWatches();
  await sleep(300);
  expect(named(made)).toEqual(['AuthorizationPolicy shop/a']);
  api.intercept = null;
  put(policies, policy('b', '/b'));
  await until(() => made.resources().length === 2, 'back');
});

test("the mesh's configuration is the ConfigMap beside control, else the one of Istio", async () => {
  put(configMaps, configMap('istio-system', 'theirs'));
  put(configMaps, configMap('shop', 'nobody'));
  const made = await start();
  expect(made.resources().map(({ spec }) => spec)).toMatchObject([{ trustDomain: 'theirs' }]);
  put(configMaps, configMap('selvage-system', 'ours'));
  await until(() => made.resources().length === 2, 'ours');
  expect(made.resources().at(-1)?.spec).toMatchObject({ trustDomain: 'ours' });
});

test('control starts without the right to read ConfigMaps, and says which one it misses', async () => {
  api.intercept = ({ path }) =>
    path.endsWith('/configmaps') ? status(403, 'Forbidden', 'no') : undefined;
  const made = await start();
  expect(made.problems().map(({ code }) => code)).toEqual([
    'mesh-config-forbidden',
    'mesh-config-forbidden',
  ]);
});

test('pods that have ended are not asked for', async () => {
  put(pods, pod('done', { status: { phase: 'Succeeded' } }));
  put(pods, pod('web-1'));
  const made = await start();
  expect(named(made)).toEqual(['Pod shop/web-1']);
  put(pods, pod('web-1', { status: { phase: 'Failed' } }));
  await until(() => made.resources().length === 0, 'failed');
});
