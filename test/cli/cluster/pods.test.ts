// What is read of a live pod.
import { expect, test } from 'vitest';

import { podOf, versionOf } from '#cli/cluster/pods.ts';

const meta = { name: 'web-5d9-x', namespace: 'shop' };
const owner = (kind: string, name: string) => [{ kind, name, uid: 'u', controller: true }];

test.each([
  ['itself', {}, { kind: 'Pod', name: 'web-5d9-x' }],
  [
    'its Deployment',
    { labels: { 'pod-template-hash': '5d9' }, ownerReferences: owner('ReplicaSet', 'web-5d9') },
    { kind: 'Deployment', name: 'web' },
  ],
  [
    'a ReplicaSet that nothing made',
    { ownerReferences: owner('ReplicaSet', 'web-5d9') },
    { kind: 'ReplicaSet', name: 'web-5d9' },
  ],
  ['its Job', { ownerReferences: owner('Job', 'nightly-1') }, { kind: 'Job', name: 'nightly-1' }],
  [
    'what the injector wrote',
    {
      annotations: { 'selvage.dev/workload': 'nightly' },
      ownerReferences: owner('Job', 'nightly-1'),
    },
    { kind: 'Job', name: 'nightly' },
  ],
])('the workload of a pod is %s', (_, more, workload) => {
  expect(podOf({ metadata: { ...meta, ...more } }).workload).toEqual(workload);
});

test('a pod that ended, or is on its way out, is not alive', () => {
  expect(podOf({ metadata: meta, status: { phase: 'Succeeded' } }).alive).toBe(false);
  expect(podOf({ metadata: { ...meta, deletionTimestamp: '2026-01-01T00:00:00Z' } }).alive).toBe(
    false,
  );
  expect(podOf({ metadata: meta, status: { phase: 'Pending' } }).alive).toBe(true);
});

test('a container that waits for its turn is in no trouble, and neither is one that ended well', () => {
  const initContainerStatuses = [
    { name: 'a', state: { waiting: { reason: 'PodInitializing' } } },
    { name: 'b', ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
    {
      name: 'c',
      ready: true,
      restartCount: 1,
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    },
    { name: 'd', state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } },
  ];
  const { states } = podOf({ metadata: meta, status: { initContainerStatuses } });
  expect(states.map(({ trouble }) => trouble)).toEqual(['', '', '', 'ImagePullBackOff']);
  expect(states[3]).toMatchObject({ message: 'no such image' });
});

test.each([
  ['selvage/selvage:0.1.0', '0.1.0'],
  ['registry:5000/selvage:0.1.0@sha256:abc', '0.1.0'],
  ['registry:5000/selvage@sha256:abc', 'sha256:abc'],
  ['registry:5000/selvage', ''],
])('the version of %s is %s', (image, version) => {
  expect(versionOf(image)).toBe(version);
});
