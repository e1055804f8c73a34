import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { PolicyResource, Service, Snapshot } from '#api/snapshot.ts';
import { diffSnapshots, isEmptyDelta } from '#control/deltas.ts';
import { applyDelta, DeltaMismatch } from '#sidecar/config/delta.ts';

const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');

const policies = fc.uniqueArray(
  fc.record({ namespace: fc.constantFrom('x', 'y'), name: names, path: names }),
  { selector: (p) => `${p.namespace}/${p.name}`, maxLength: 8 },
);
// Two of one name in different namespaces are two.
const services = fc.uniqueArray(
  fc.record({
    namespace: fc.constantFrom('x', 'y'),
    name: names,
    port: fc.integer({ min: 1, max: 3 }),
  }),
  { selector: (s) => `${s.namespace}/${s.name}`, maxLength: 8 },
);
const snapshots = fc.record({ policies, services, trustDomain: names, label: names });

type Seed = typeof snapshots extends fc.Arbitrary<infer T> ? T : never;

function policy(seed: Seed['policies'][number]): PolicyResource {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: seed.name, namespace: seed.namespace, labels: {}, annotations: {} },
    spec: { action: 'ALLOW', rules: [{ to: [{ operation: { paths: [`/${seed.path}`] } }] }] },
  };
}

function service(seed: Seed['services'][number]): Service {
  const port = { port: seed.port, name: '', protocol: 'http' as const, endpoints: [] };
  return {
    name: seed.name,
    namespace: seed.namespace,
    hosts: [seed.name],
    addresses: [],
    ports: [port],
  };
}

function snapshot(version: number, seed: Seed): Snapshot {
  return {
    version,
    mesh: {
      trustDomain: seed.trustDomain,
      trustDomainAliases: [],
      rootNamespace: 'istio-system',
      pathNormalization: { normalization: 'DEFAULT' },
      extensionProviders: [],
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
    },
    workload: {
      namespace: 'x',
      name: 'w',
      labels: { app: seed.label },
      serviceAccount: 'w',
      ports: [],
    },
    policies: seed.policies.map(policy),
    services: seed.services.map(service),
  };
}

function overTheWire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

test('applying the difference of two snapshots to the first gives the second, order included', () => {
  fc.assert(
    fc.property(snapshots, snapshots, (first, second) => {
      const a = snapshot(3, first);
      const b = snapshot(9, second);
      const delta = overTheWire(diffSnapshots(a, b));
      expect(applyDelta(overTheWire(a), delta)).toStrictEqual(overTheWire(b));
    }),
    { numRuns: 400, seed: 1 },
  );
});

test('equal snapshots of different numbers give an empty difference', () => {
  fc.assert(
    fc.property(snapshots, (seed) => {
      expect(isEmptyDelta(diffSnapshots(snapshot(1, seed), snapshot(2, seed)))).toBe(true);
    }),
    { numRuns: 50, seed: 1 },
  );
});

test('a difference names only what changed', () => {
  const [a, b]: Seed['policies'] = [
    { namespace: 'x', name: 'a', path: 'a' },
    { namespace: 'x', name: 'b', path: 'b' },
  ];
  const base: Seed = {
    policies: [a!, b!],
    services: [{ namespace: 'x', name: 'a', port: 1 }],
    trustDomain: 'a',
    label: 'a',
  };
  const edited: Seed = { ...base, policies: [a!, { ...b!, path: 'c' }] };
  const delta = diffSnapshots(snapshot(1, base), snapshot(2, edited));
  expect(Object.keys(delta).toSorted()).toEqual(['from', 'policies', 'to']);
  expect(delta.policies?.set.map((p) => p.metadata.name)).toEqual(['b']);
  expect(delta.policies?.order).toBeUndefined();
});

test('a difference from another version is refused', () => {
  const seed: Seed = { policies: [], services: [], trustDomain: 'a', label: 'a' };
  const delta = { from: 4, to: 5 };
  expect(() => applyDelta(snapshot(3, seed), delta)).toThrow(DeltaMismatch);
});

test('an order that repeats one key and so leaves another out is refused', () => {
  const seed: Seed = {
    policies: [
      { namespace: 'x', name: 'a', path: 'a' },
      { namespace: 'x', name: 'b', path: 'b' },
    ],
    services: [],
    trustDomain: 'a',
    label: 'a',
  };
  const key = 'AuthorizationPolicy/x/a';
  const delta = { from: 1, to: 2, policies: { set: [], remove: [], order: [key, key] } };
  expect(() => applyDelta(snapshot(1, seed), delta)).toThrow(DeltaMismatch);
});

test('telemetry that comes, changes and goes is told', () => {
  const seed: Seed = { policies: [], services: [], trustDomain: 'a', label: 'a' };
  const with_ = (version: number, samplingPercent: number): Snapshot => ({
    ...snapshot(version, seed),
    telemetry: { inbound: { tracing: { samplingPercent } }, outbound: {} },
  });
  const steps = [snapshot(1, seed), with_(2, 5), with_(3, 10), snapshot(4, seed)];
  for (const [i, to] of steps.entries()) {
    const from = steps[i - 1];
    if (from === undefined) continue;
    expect(applyDelta(overTheWire(from), overTheWire(diffSnapshots(from, to)))).toStrictEqual(
      overTheWire(to),
    );
  }
});
