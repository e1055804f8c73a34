import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { clusterOrigin } from '#api/origin.ts';
import { readResource } from '#api/read-resource.ts';
import { slimPod, slimPolicy, slimService, slimSlice } from '#control/sources/kubernetes/slim.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';

function podOf(metadata: object, spec: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'own', namespace: 'shop', ...metadata },
    spec,
  };
}

function workloadOf(owner: object | null, labels: object = {}): string | undefined {
  const ownerReferences = owner === null ? [] : [{ uid: 'u', controller: true, ...owner }];
  return slimPod(podOf({ labels, ownerReferences })).metadata.annotations?.['selvage.dev/workload'];
}

test("a pod's workload is what a person named: the Deployment, the CronJob, else the pod", () => {
  const hash = { 'pod-template-hash': '7d9f' };
  expect(workloadOf({ kind: 'ReplicaSet', name: 'web-7d9f' }, hash)).toBe('web');
  expect(workloadOf({ kind: 'ReplicaSet', name: 'web-7d9f' })).toBe('web-7d9f');
  expect(workloadOf({ kind: 'StatefulSet', name: 'db' })).toBe('db');
  expect(workloadOf({ kind: 'DaemonSet', name: 'agent' })).toBe('agent');
  expect(workloadOf({ kind: 'Job', name: 'report-29395680' })).toBe('report');
  expect(workloadOf({ kind: 'Job', name: 'migrate-2' })).toBe('migrate-2');
  expect(workloadOf({ kind: 'ReplicaSet', name: 'web', controller: false })).toBe('own');
  expect(workloadOf(null)).toBe('own');
});

test('what the injector wrote counts over owners', () => {
  const annotations = {
    'selvage.dev/workload': 'written',
    'example.com/other': 'x',
    inject: 'true',
  };
  const ownerReferences = [{ kind: 'StatefulSet', name: 'db', uid: 'u', controller: true }];
  expect(slimPod(podOf({ annotations, ownerReferences })).metadata.annotations).toEqual({
    'selvage.dev/workload': 'written',
    inject: 'true',
  });
});

test('of a pod is kept what snapshots need, and no port of the sidecar', () => {
  const ports = [{ containerPort: 15090, name: 'http-envoy-prom' }];
  const spec = {
    serviceAccountName: 'web',
    nodeName: 'node-1',
    initContainers: [
      { name: 'selvage-init', image: 'x' },
      { name: 'selvage-proxy', image: 'x', ports },
    ],
    containers: [
      { name: 'app', image: 'x', env: [{ name: 'SECRET', value: 'x' }], ports },
      { name: 'selvage-proxy', ports },
    ],
  };
  expect(slimPod(podOf({}, spec))['spec']).toEqual({
    serviceAccountName: 'web',
    initContainers: [{ name: 'selvage-proxy' }],
    containers: [{ name: 'app', ports }, { name: 'selvage-proxy' }],
  });
});

test('the text that kubectl keeps of a policy does not travel, all else does', () => {
  const annotations = {
    'kubectl.kubernetes.io/last-applied-configuration': '{}',
    'istio.io/dry-run': 'true',
  };
  const spec = { action: 'DENY' };
  const slim = slimPolicy({ ...podOf({ annotations }, spec), status: { conditions: [] } });
  expect(slim.metadata.annotations).toEqual({ 'istio.io/dry-run': 'true' });
  expect(slim).toMatchObject({ spec });
  expect(slim).not.toHaveProperty('status');
});

test('whatever the API server sends, slimming it and reading it never throws', () => {
  const json = fc.jsonValue();
  const objects = fc.record({
    apiVersion: fc.constantFrom('v1', 'discovery.k8s.io/v1'),
    kind: fc.constantFrom('Pod', 'Service', 'EndpointSlice'),
    metadata: fc.record(
      { name: fc.string(), namespace: fc.string(), ownerReferences: fc.constant([]) },
      { requiredKeys: ['name'] },
    ),
    spec: fc.oneof(json, fc.record({ containers: json, initContainers: json, ports: json })),
    status: fc.oneof(json, fc.record({ conditions: json, podIPs: json })),
    endpoints: fc.oneof(json, fc.array(fc.record({ addresses: json, targetRef: json }))),
    ports: json,
  });
  fc.assert(
    fc.property(objects, (made) => {
      const object = made as unknown as KubeObject;
      for (const slim of [slimPod, slimService, slimSlice, slimPolicy]) {
        const { kind, metadata } = object;
        const origin = clusterOrigin({
          kind: kind ?? '',
          metadata: { name: metadata.name, namespace: metadata.namespace ?? '' },
        });
        const { resource, problems } = readResource({ value: slim(object), origin });
        const bad = problems.some(({ severity }) => severity === 'error');
        expect(bad && resource !== null).toBe(false);
        expect(resource?.metadata.name ?? metadata.name).toBe(metadata.name);
      }
    }),
  );
});
