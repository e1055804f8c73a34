import { expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type {
  DestinationPolicy,
  OutlierDetection,
  TrafficPolicy,
} from '#api/traffic/destination.ts';
import { silentLog, type Log } from '#runtime/log.ts';
import { clustersOf } from '#sidecar/admin/views.ts';
import { compileRoutes } from '#sidecar/outbound/routes.ts';
import type { Cluster } from '#sidecar/upstream/cluster.ts';
import { upstreamGauges } from '#sidecar/upstream/gauges.ts';
import type { Outcome } from '#sidecar/upstream/outcome.ts';
import { Upstreams } from '#sidecar/upstream/upstreams.ts';

import { Rig, serviceOf, snapshotOf, spiffe } from '../rig.ts';

const rig = await Rig.create();
const svid = await rig.svid(spiffe('shop', 'web'));
const host = 'payments.shop.svc.cluster.local';
const failed: Outcome = { status: 500, fault: 'none', latencyMs: 1 };
const well: Outcome = { status: 200, fault: 'none', latencyMs: 1 };
const outlier: OutlierDetection = {
  consecutive5xx: 2,
  consecutiveGatewayErrors: 0,
  splitLocalOrigin: false,
  consecutiveLocalOrigin: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 50,
  minHealthPercent: 0,
};

function policyOf(policy: TrafficPolicy, more: Partial<DestinationPolicy> = {}): DestinationPolicy {
  return { host, source: 'DestinationRule shop/payments', policy, ports: {}, subsets: [], ...more };
}

const payments = serviceOf(
  'payments',
  [1, 2, 3, 4].map((i) => ({
    address: `10.0.0.${i}`,
    port: 8080,
    labels: { version: i > 2 ? 'v2' : 'v1' },
  })),
);

function world(log: Log = silentLog) {
  const upstreams = new Upstreams(svid, log);
  let cluster: Cluster | null = null;
  const apply = (destinations: DestinationPolicy[], services: Service[] = [payments]): Cluster => {
    const snapshot = { ...snapshotOf({ services }), destinations };
    const table = compileRoutes(snapshot);
    upstreams.update(table, snapshot);
    const [route] = table.routes;
    cluster = route === undefined ? null : upstreams.cluster(route);
    return cluster!;
  };
  const subset = (name: string): Cluster | null => {
    const [route] = compileRoutes(snapshotOf({ services: [payments] })).routes;
    return upstreams.cluster(route!, name);
  };
  return { upstreams, apply, subset };
}

test('a subset has the endpoints that carry its labels; one that no policy has is null', () => {
  const { apply, subset } = world();
  const v2 = { name: 'v2', labels: { version: 'v2' }, policy: {}, ports: {} };
  apply([policyOf({}, { subsets: [v2] })]);
  expect(subset('v2')?.members.map(({ address }) => address)).toEqual([
    '10.0.0.3:8080',
    '10.0.0.4:8080',
  ]);
  expect(subset('v3')).toBe(null);
  expect(subset('')?.members).toHaveLength(4);
  apply([]);
  expect(subset('v2')).toBe(null);
});

test('a policy of a port is in place of the host own, and an exact host wins over a wildcard', () => {
  const { apply } = world();
  const hashed = { kind: 'maglev', key: { kind: 'source-ip' }, tableSize: 101 } as const;
  const wildcard = policyOf({ balancing: hashed }, { host: '*.svc.cluster.local' });
  expect(apply([wildcard]).hashKey).toEqual({ kind: 'source-ip' });
  expect(apply([wildcard, policyOf({})]).hashKey).toBe(null);
  const port = policyOf({}, { ports: { 80: { balancing: hashed } } });
  expect(apply([wildcard, port]).hashKey).toEqual({ kind: 'source-ip' });
});

test('calls under way are counted for the member and the cluster, and limits hold', () => {
  const { apply } = world();
  const cluster = apply([policyOf({ pool: { maxRequests: 2 } })]);
  const members = [cluster.pick([])!, cluster.pick([])!];
  for (const member of members) {
    expect(cluster.admit()).toBe(null);
    member.begin();
  }
  expect(cluster.admit()).toMatchObject({ status: 503, flag: 'UO' });
  members[0]!.end(well);
  expect(cluster.admit()).toBe(null);
  members[1]!.end(well);
  expect([cluster.active, ...cluster.members.map(({ active }) => active)]).toEqual([0, 0, 0, 0, 0]);
});

test('calls that were counted before there was a limit count in it', () => {
  const { apply } = world();
  const cluster = apply([]);
  const member = cluster.pick([])!;
  member.begin();
  apply([policyOf({ pool: { maxRequests: 1 } })]);
  expect(cluster.admit()).not.toBe(null);
  member.end(well);
  expect(cluster.admit()).toBe(null);
});

test('an endpoint that fails is not picked, is told of, and stays out across snapshots', () => {
  const lines: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (fields, message) => void lines.push(`${String(fields['address'])} ${message}`),
    info: (fields, message) => void lines.push(`${String(fields['address'])} ${message}`),
    child: () => log,
  };
  const { upstreams, apply } = world(log);
  const cluster = apply([policyOf({ outlier })]);
  const bad = cluster.members[1]!;
  for (let i = 0; i < 2; i += 1) {
    bad.begin();
    bad.end(failed);
  }
  const picked = (): Set<unknown> => new Set(Array.from({ length: 200 }, () => cluster.pick([])));
  expect(picked().has(bad)).toBe(false);
  expect(lines).toEqual(['10.0.0.2:8080 endpoint ejected']);
  const [view] = clustersOf(upstreams);
  expect(view?.endpoints.map(({ health }) => health)).toEqual([
    'healthy',
    'ejected',
    'healthy',
    'healthy',
  ]);
  expect(view?.ejections).toMatchObject([
    { event: 'ejected', address: '10.0.0.2:8080', reason: 'consecutive-5xx', forMs: 30_000 },
  ]);
  const gauges = Object.fromEntries(upstreamGauges(upstreams).map((one) => [one.name, one.read()]));
  const labels = { cluster: `${host}:80` };
  expect(gauges['selvage_endpoints_ejected']).toEqual([{ labels, value: 1 }]);
  expect(gauges['selvage_endpoint_ejections_total']).toEqual([
    { labels: { ...labels, reason: 'consecutive-5xx' }, value: 1 },
  ]);
  apply([policyOf({ outlier, balancing: { kind: 'round-robin' } })], [structuredClone(payments)]);
  expect(picked().has(bad)).toBe(false);
  expect(cluster.members[1]).toBe(bad);
  apply([]);
  expect(picked().has(bad)).toBe(true);
  expect(lines).toEqual([
    '10.0.0.2:8080 endpoint ejected',
    '10.0.0.2:8080 ejected endpoint returned',
  ]);
  upstreams.close();
});

test('without a policy no cluster has a number, an event or a budget', () => {
  const { upstreams, apply } = world();
  const cluster = apply([]);
  expect(cluster.budget).toBe(null);
  expect(upstreamGauges(upstreams).flatMap((gauge) => gauge.read())).toEqual([]);
  expect(Object.keys(clustersOf(upstreams)[0]!)).toEqual(['cluster', 'protocol', 'endpoints']);
});

test('a weight of an endpoint is its share, and none of it is no call', () => {
  const { apply } = world();
  const weighted = serviceOf('payments', [
    { address: '10.0.0.1', port: 80, weight: 3 },
    { address: '10.0.0.2', port: 80 },
    { address: '10.0.0.3', port: 80, weight: 0 },
  ]);
  const cluster = apply([], [weighted]);
  const counts = new Map<string, number>();
  for (let i = 0; i < 40_000; i += 1) {
    const { address } = cluster.pick([])!;
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  expect(Math.abs(counts.get('10.0.0.1:80')! / 40_000 - 0.75)).toBeLessThan(0.02);
  expect(counts.has('10.0.0.3:80')).toBe(false);
});

test('near endpoints are called while they are well, and far ones as they fail', () => {
  const { upstreams } = world();
  const placed = serviceOf('payments', [
    { address: '10.0.0.1', port: 80, locality: 'eu/a' },
    { address: '10.0.0.2', port: 80, locality: 'us/a' },
  ]);
  const base = snapshotOf({ services: [placed] });
  const snapshot = {
    ...base,
    workload: { ...base.workload, locality: 'eu/a' },
    destinations: [policyOf({ outlier, locality: {} })],
  };
  const table = compileRoutes(snapshot);
  upstreams.update(table, snapshot);
  const cluster = upstreams.cluster(table.routes[0]!)!;
  const near = cluster.members[0]!;
  for (let i = 0; i < 100; i += 1) expect(cluster.pick([])).toBe(near);
  for (let i = 0; i < 2; i += 1) {
    near.begin();
    near.end(failed);
  }
  expect(cluster.pick([])).toBe(cluster.members[1]);
  upstreams.close();
});

test('a pod finds its own place among the endpoints', () => {
  const upstreams = new Upstreams(svid, silentLog, '10.0.0.9');
  const placed = serviceOf('payments', [
    { address: '10.0.0.1', port: 80, locality: 'eu/a' },
    { address: '10.0.0.2', port: 80, locality: 'us/a' },
  ]);
  const web = serviceOf('web', [{ address: '10.0.0.9', port: 80, locality: 'us/a' }]);
  const destinations = [policyOf({ outlier, locality: {} })];
  const snapshot = { ...snapshotOf({ services: [placed, web] }), destinations };
  const table = compileRoutes(snapshot);
  upstreams.update(table, snapshot);
  const cluster = upstreams.cluster(table.routes[0]!)!;
  for (let i = 0; i < 50; i += 1) expect(cluster.pick([])).toBe(cluster.members[1]);
  upstreams.close();
});

test('calls keep to their zone as far as there is room, which follows the fellows of the caller', () => {
  const upstreams = new Upstreams(svid, silentLog, '10.0.0.9');
  const payments = serviceOf('payments', [
    { address: '10.0.0.1', port: 80, locality: 'eu/a' },
    { address: '10.0.0.2', port: 80, locality: 'eu/b' },
    { address: '10.0.0.3', port: 80, locality: 'us/a' },
  ]);
  const destinations = [policyOf({ locality: { zoneAware: { sizeMin: 2 } } })];
  const update = (...places: string[]): number => {
    const fellows = places.map((locality, i) => ({
      address: `10.0.0.${9 + i}`,
      port: 80,
      locality,
      workload: 'web',
      namespace: 'shop',
    }));
    const base = snapshotOf({ services: [payments, serviceOf('web', fellows)] });
    const workload = { ...base.workload, namespace: 'shop', name: 'web' };
    const snapshot = { ...base, workload, destinations };
    const table = compileRoutes(snapshot);
    upstreams.update(table, snapshot);
    const cluster = upstreams.cluster(table.routes[0]!)!;
    const picks = Array.from({ length: 4_000 }, () => cluster.pick([]));
    expect(picks).not.toContain(cluster.members[2]);
    return picks.filter((member) => member === cluster.members[0]).length / picks.length;
  };
  expect(update('eu/a', 'eu/b')).toBe(1);
  expect(update('eu/a', 'eu/a', 'eu/a', 'eu/b')).toBeCloseTo(2 / 3, 1);
  expect(update('eu/b', 'eu/a')).toBe(0);
  expect(update('eu/a', 'us/a')).toBeCloseTo(1 / 2, 1);
  upstreams.close();
});

test('an address that nobody told of is a member when it is called, the same one again', () => {
  const { apply } = world();
  const cluster = apply([policyOf({ balancing: { kind: 'passthrough' } })]);
  expect(cluster.passthrough).toBe(true);
  expect(cluster.at('10.0.0.2', 8080)).toBe(cluster.members[1]);
  const other = cluster.at('10.7.7.7', 443);
  expect(cluster.at('10.7.7.7', 443)).toBe(other);
  for (let i = 0; i < 300; i += 1) cluster.at('10.8.0.1', 1000 + i);
  expect(cluster.at('10.7.7.7', 443)).not.toBe(other);
});
