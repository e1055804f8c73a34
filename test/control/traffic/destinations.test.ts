import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { hostCovers } from '#api/traffic/host.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import type { Workload } from '#api/workload.ts';
import { buildSnapshot } from '#control/snapshot.ts';
import { MeshView } from '#control/view.ts';

import { bank, destinations, document, meshOf, rule, snapshot, web } from './meshes.ts';

const limit = (connections: number): string =>
  `trafficPolicy: { connectionPool: { tcp: { maxConnections: ${connections} } } }`;

/** The policy of a host as a sidecar finds it: its own, else the longest wildcard. */
function found(list: readonly DestinationPolicy[], host: string): DestinationPolicy | undefined {
  return list
    .filter((one) => hostCovers(one.host, host))
    .toSorted((a, b) => b.host.length - a.host.length)
    .toSorted((a, b) => Number(b.host === host) - Number(a.host === host))[0];
}

function connectionsOf(list: readonly DestinationPolicy[], host: string): number | undefined {
  return found(list, host)?.policy.pool?.maxConnections;
}

test('without a rule nothing is said at all', () => {
  expect('destinations' in snapshot(meshOf(), 'shop')).toBe(false);
});

const connectionsByCaller = (...rules: string[]): unknown[] => {
  const mesh = meshOf(...rules);
  return ['shop', 'money', 'other'].map((ns) => connectionsOf(destinations(mesh, ns), bank));
};

test("the caller's namespace comes before the service's, and that before the root namespace", () => {
  const own = rule('shop/own', `{ host: ${bank}, ${limit(1)} }`);
  const theirs = rule('money/theirs', `{ host: bank, ${limit(2)} }`);
  const root = rule('istio-system/root', `{ host: "*.local", ${limit(3)} }`);
  expect(connectionsByCaller(own, theirs, root)).toEqual([1, 2, 2]);
  expect(connectionsByCaller(own, root)).toEqual([1, 3, 3]);
  expect(connectionsByCaller(root)).toEqual([3, 3, 3]);
});

test('a wildcard of the caller comes before the exact rule of the service', () => {
  const mesh = meshOf(
    rule('shop/all', `{ host: "*.svc.cluster.local", ${limit(1)} }`),
    rule('money/theirs', `{ host: bank, ${limit(2)} }`),
  );
  expect(connectionsOf(destinations(mesh, 'shop'), bank)).toBe(1);
  expect(connectionsOf(destinations(mesh, 'other'), bank)).toBe(2);
});

const connectionsExported = (exportTo: string): (number | undefined)[] => {
  const mesh = meshOf(rule('money/r', `{ host: bank, exportTo: ${exportTo}, ${limit(2)} }`));
  return ['money', 'shop', 'other'].map((ns) => connectionsOf(destinations(mesh, ns), bank));
};

test('exportTo says who goes by a rule; its own namespace only when it is named', () => {
  expect(connectionsExported('[]')).toEqual([2, 2, 2]);
  expect(connectionsExported('["*"]')).toEqual([2, 2, 2]);
  expect(connectionsExported('["."]')).toEqual([2, undefined, undefined]);
  expect(connectionsExported('[shop]')).toEqual([undefined, 2, undefined]);
  expect(connectionsExported('[".", shop]')).toEqual([2, 2, undefined]);
});

test('the mesh may make rules private unless they say otherwise', () => {
  const config = 'kind: MeshConfig\nspec: { defaultDestinationRuleExportTo: ["."] }';
  const mesh = meshOf(config, rule('money/r', `{ host: bank, ${limit(2)} }`));
  expect(connectionsOf(destinations(mesh, 'money'), bank)).toBe(2);
  expect(connectionsOf(destinations(mesh, 'shop'), bank)).toBeUndefined();
});

test('a short name means a Service of the namespace of the rule, and name.namespace nothing', () => {
  const mesh = meshOf(
    rule('shop/a', `{ host: bank, ${limit(1)} }`),
    rule('shop/b', `{ host: bank.money, ${limit(2)} }`),
  );
  expect(destinations(mesh, 'shop')).toEqual([]);
});

test('a rule with a workloadSelector is for those callers alone, and then in place of the general one', () => {
  const mesh = meshOf(
    rule('shop/all', `{ host: ${bank}, ${limit(1)} }`),
    rule(
      'shop/some',
      `{ host: ${bank}, workloadSelector: { matchLabels: { app: web } }, ${limit(2)} }`,
    ),
  );
  expect(connectionsOf(destinations(mesh, 'shop', { app: 'web' }), bank)).toBe(2);
  expect(connectionsOf(destinations(mesh, 'shop', { app: 'other' }), bank)).toBe(1);
  expect(connectionsOf(destinations(mesh, 'other', { app: 'web' }), bank)).toBeUndefined();
});

test('rules of one host merge: the oldest policy, all subsets, the first of a name', () => {
  const mesh = meshOf(
    rule('money/a', '{ host: bank, subsets: [{ name: v1, labels: { v: "1" } }] }'),
    rule('money/b', `{ host: ${bank}, ${limit(2)}, subsets: [{ name: v2 }, { name: v1 }] }`),
    rule('money/c', `{ host: bank, ${limit(3)} }`),
  );
  const [policy] = destinations(mesh, 'shop');
  expect(policy).toMatchObject({ source: 'DestinationRule money/a', host: bank });
  expect(policy?.policy.pool).toEqual({ maxConnections: 2 });
  expect(policy?.subsets.map(({ name, labels }) => [name, labels])).toEqual([
    ['v1', { v: '1' }],
    ['v2', {}],
  ]);
});

test('a subset takes over what it does not say, and ports replace and do not merge', () => {
  const mesh = meshOf(
    rule(
      'money/a',
      `
  host: bank
  trafficPolicy:
    loadBalancer: { simple: ROUND_ROBIN }
    connectionPool: { tcp: { maxConnections: 5 } }
    portLevelSettings:
      - { port: { number: 80 }, loadBalancer: { simple: RANDOM } }
  subsets:
    - { name: plain }
    - name: own
      trafficPolicy:
        connectionPool: { http: { maxRetries: 2 } }
        portLevelSettings: [{ port: { number: 90 }, tls: { mode: DISABLE } }]`,
    ),
  );
  const [policy] = destinations(mesh, 'shop');
  const roundRobin = { kind: 'round-robin' };
  const [plain, own] = policy?.subsets ?? [];
  expect(policy?.policy).toEqual({ balancing: roundRobin, pool: { maxConnections: 5 } });
  // Port 80 has no connectionPool any more.
  expect(policy?.ports).toEqual({ 80: { balancing: { kind: 'random' } } });
  expect(plain?.policy).toEqual(policy?.policy);
  expect(plain?.ports).toEqual(policy?.ports);
  expect(own?.policy).toEqual({ balancing: roundRobin, pool: { maxRetries: 2 } });
  expect(own?.ports).toEqual({
    80: { balancing: { kind: 'random' }, pool: { maxRetries: 2 } },
    90: { tls: { mode: 'disable' } },
  });
});

test('what the mesh says is the default of every host, and of every rule', () => {
  const config = 'kind: MeshConfig\nspec: { connectTimeout: 3s, h2UpgradePolicy: UPGRADE }';
  const mesh = meshOf(config, rule('money/r', `{ host: bank, ${limit(2)} }`));
  const list = destinations(mesh, 'shop');
  const common = { connectTimeoutMs: 3000, h2Upgrade: 'upgrade' };
  expect(found(list, bank)?.policy).toEqual({ pool: { ...common, maxConnections: 2 } });
  expect(found(list, web)).toMatchObject({ source: 'MeshConfig', policy: { pool: common } });
});

test('a rule for all hosts is one entry, and hosts that it is not for are taken out', () => {
  const mesh = meshOf(
    rule('istio-system/all', `{ host: "*.local", exportTo: ["*"], ${limit(1)} }`),
    rule('money/own', `{ host: bank, ${limit(2)} }`),
  );
  expect(destinations(mesh, 'shop').map(({ host }) => host)).toEqual(['*.local', bank]);
  const other = meshOf(rule('money/all', `{ host: "*.local", exportTo: ["*"], ${limit(1)} }`));
  // Of another namespace only its own services are.
  const list = destinations(other, 'shop');
  expect(connectionsOf(list, bank)).toBe(1);
  expect(found(list, web)).toEqual({ host: web, source: '', policy: {}, ports: {}, subsets: [] });
});

test('breakers and health checks are merged into every part of the policy of their host', () => {
  const mesh = meshOf(
    rule('money/r', `{ host: bank, ${limit(2)}, subsets: [{ name: v1 }] }`),
    document('CircuitBreaker', 'money/b', '{ host: bank, expression: NetworkErrorRatio() > 0.3 }'),
    document(
      'HealthCheck',
      'money/h',
      '{ host: bank, http: { path: /up, expectedStatuses: [204, "300-399"] } }',
    ),
  );
  const [policy] = destinations(mesh, 'shop');
  const breaker = {
    source: 'CircuitBreaker money/b',
    expression: 'NetworkErrorRatio() > 0.3',
    checkMs: 100,
    fallbackMs: 10_000,
    recoveryMs: 10_000,
    status: 503,
  };
  const healthCheck = {
    source: 'HealthCheck money/h',
    kind: 'http',
    path: '/up',
    statuses: [
      [204, 204],
      [300, 399],
    ],
    intervalMs: 10_000,
    timeoutMs: 2000,
    healthyThreshold: 1,
    unhealthyThreshold: 3,
  };
  const whole = { pool: { maxConnections: 2 }, breaker, healthCheck };
  expect(policy?.policy).toEqual(whole);
  expect(policy?.subsets[0]?.policy).toEqual(whole);
});

test('a health check alone says how its host is asked', () => {
  const mesh = meshOf(document('HealthCheck', 'money/h', '{ host: bank, grpc: {} }'));
  expect(destinations(mesh, 'shop')).toMatchObject([
    { host: bank, source: '', policy: { healthCheck: { kind: 'grpc' } } },
  ]);
  const tcp = meshOf(document('HealthCheck', 'money/h', '{ host: bank, tcp: {} }'));
  expect(destinations(tcp, 'shop')[0]?.policy.healthCheck?.kind).toBe('tcp');
});

test('what did not change is the same object in the next view', () => {
  const texts = [
    rule('money/r', `{ host: bank, ${limit(2)} }`),
    rule('istio-system/all', `{ host: "*.local", ${limit(1)} }`),
  ];
  const mesh = meshOf(...texts);
  const workload: Workload = {
    namespace: 'shop',
    name: 'caller',
    labels: {},
    serviceAccount: 'default',
    ports: [],
  };
  const first = new MeshView(mesh, [], null);
  const before = buildSnapshot(first, workload, 1).destinations ?? [];
  const next = { ...mesh, destinationRules: [...mesh.destinationRules] };
  const same = buildSnapshot(new MeshView(next, [], first), workload, 2).destinations ?? [];
  expect(before).toHaveLength(2);
  expect(same.map((one, i) => one === before[i])).toEqual([true, true]);
});

test('what changes behind a service leaves the list as it is; a change of a rule does not', () => {
  const workload = {
    namespace: 'shop',
    name: 'c',
    labels: {},
    serviceAccount: 'default',
    ports: [],
  };
  const pod = `apiVersion: v1
kind: Pod
metadata: { name: bank-1, namespace: money, labels: { app: bank } }
status: { podIP: 10.1.0.1 }`;
  const mesh = meshOf(rule('money/r', `{ host: bank, ${limit(2)} }`));
  const first = new MeshView(mesh, [], null);
  const before = buildSnapshot(first, workload, 1);
  const next = new MeshView({ ...mesh, pods: meshOf(pod).pods }, [], first);
  const after = buildSnapshot(next, workload, 2);
  expect(after.services).not.toBe(before.services);
  expect(after.destinations).toBe(before.destinations);
  const { destinationRules } = meshOf(rule('money/r', `{ host: bank, ${limit(3)} }`));
  const last = buildSnapshot(new MeshView({ ...mesh, destinationRules }, [], next), workload, 3);
  expect(connectionsOf(last.destinations ?? [], bank)).toBe(3);
});

const policyText = fc.constantFrom('', `, ${limit(1)}`, `, ${limit(2)}`);
const anyRule = fc
  .record({
    namespace: fc.constantFrom('shop', 'money', 'istio-system'),
    host: fc.constantFrom(
      'web',
      'bank',
      bank,
      web,
      '"*.local"',
      '"*"',
      '"*.money.svc.cluster.local"',
    ),
    exportTo: fc.constantFrom('[]', '["."]', '["*"]', '[other]'),
    policy: policyText,
  })
  .map(({ namespace, host, exportTo, policy }) => ({
    namespace,
    text: `{ host: ${host}, exportTo: ${exportTo}${policy} }`,
  }));

test('few entries say the same as one for each service', () => {
  fc.assert(
    fc.property(
      fc.array(anyRule, { maxLength: 6 }),
      fc.constantFrom('shop', 'money', 'other', 'istio-system'),
      (rules, namespace) => {
        const texts = rules.map(({ namespace: ns, text }, i) => rule(`${ns}/r${i}`, text));
        const together = destinations(meshOf(...texts), namespace);
        expect(new Set(together.map(({ host }) => host)).size).toBe(together.length);
        for (const host of [web, bank]) {
          // With one service alone there is nothing to share.
          const mesh = meshOf(...texts);
          const services = mesh.services.filter(({ metadata }) => host.startsWith(metadata.name));
          const alone = found(destinations({ ...mesh, services }, namespace), host);
          const said = found(together, host);
          expect(said?.policy ?? {}).toEqual(alone?.policy ?? {});
          expect(said?.source ?? '').toEqual(alone?.source ?? '');
        }
      },
    ),
    { numRuns: 200 },
  );
});
