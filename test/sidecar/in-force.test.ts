import { expect, test } from 'vitest';

import { InForce, type Enforced } from '#sidecar/in-force.ts';

import { serviceOf, snapshotOf } from './rig.ts';

const deny = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: nothing, namespace: shop }
spec: {}
`;

function setUp(): { apply: (...args: Parameters<InForce['apply']>) => Enforced } {
  const inForce = new InForce();
  let last: Enforced | null = null;
  inForce.onChange((enforced) => (last = enforced));
  return {
    apply: (snapshot) => {
      inForce.apply(snapshot);
      if (last === null) throw new Error('nobody was told');
      return last;
    },
  };
}

test('a change of endpoints compiles no policy again, and calls go to the new ones', () => {
  const { apply } = setUp();
  const first = snapshotOf({ policies: deny, services: [serviceOf('one', [{ port: 1 }])] });
  const before = apply(first);
  const services = [serviceOf('one', [{ port: 2 }])];
  const after = apply({ ...first, version: 2, services });
  expect(after.policies).toBe(before.policies);
  expect(after.routes.find('one', 80)).toMatchObject({ port: { endpoints: [{ port: 2 }] } });
  expect(before.routes.find('one', 80)).toMatchObject({ port: { endpoints: [{ port: 1 }] } });
});

test('a change of policies, of the mesh or of the workload compiles them again', () => {
  const { apply } = setUp();
  const first = snapshotOf({ policies: deny });
  const seen = [
    apply(first),
    apply({ ...first, policies: [] }),
    apply({ ...first, policies: [], mesh: { ...first.mesh, trustDomain: 'other' } }),
    apply({ ...first, policies: [], workload: { ...first.workload, labels: {} } }),
    apply(first),
  ];
  expect(new Set(seen.map(({ policies }) => policies)).size).toBe(seen.length);
  expect(seen[2]?.policies.trustDomains).toEqual(['other']);
});

test('a workload of another namespace knows other short names', () => {
  const { apply } = setUp();
  const first = snapshotOf({ services: [serviceOf('one', [])] });
  expect(apply(first).routes.find('one', 80)).toMatchObject({ key: expect.anything() });
  const elsewhere = { ...first, workload: { ...first.workload, namespace: 'other' } };
  expect(apply(elsewhere).routes.find('one', 80)).toBe('unknown-host');
});

test('who waits for policies is told of a change of them, and not of endpoints', () => {
  const inForce = new InForce();
  const first = snapshotOf({ policies: deny });
  inForce.apply(first);
  const told: number[] = [];
  inForce.onPolicyChange(({ snapshot }) => told.push(snapshot.version));
  inForce.apply({ ...first, version: 2, services: [serviceOf('one', [])] });
  inForce.apply({ ...first, version: 3, policies: [] });
  inForce.apply({ ...inForce.current()!.snapshot, version: 4 });
  expect(told).toEqual([3]);
});
