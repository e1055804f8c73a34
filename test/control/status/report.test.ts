import { expect, test } from 'vitest';

import { generationsOf } from '#control/status/report.ts';
import { loadText } from '#api/load.ts';
import { collectMesh, workloadsOf } from '#api/mesh.ts';
import { snapshotOf } from '#control/snapshot.ts';

const yaml = `
apiVersion: v1
kind: Pod
metadata: { name: api, namespace: shop, annotations: { inject: "true" } }
spec: { containers: [{ name: api }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: admit, namespace: shop, generation: 3 }
spec: { rules: [{}] }
---
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: some, namespace: shop, generation: 4 }
spec: { limits: [{ name: all, tokenBucket: { rate: 1, per: 1s } }] }
`;

test('a snapshot tells the generations of its policies and of its rate limits', () => {
  const { resources, problems } = loadText(yaml, 'shop.yaml');
  expect(problems).toEqual([]);
  const mesh = collectMesh(resources);
  const [workload] = workloadsOf(mesh);
  if (workload === undefined) throw new Error('no workload');
  const snapshot = snapshotOf(mesh, workload);
  const generations = generationsOf(snapshot);
  expect(Object.fromEntries(generations)).toEqual({
    'AuthorizationPolicy/shop/admit': 3,
    'RateLimit/shop/some': 4,
  });
  expect(generationsOf(snapshot)).toBe(generations);
  expect(generationsOf(null).size).toBe(0);
});
