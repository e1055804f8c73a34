// Ten endpoints that fail, hang, reset, die and slow down at random: retries and ejections hide it from callers.
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Endpoint } from '#api/snapshot.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import type { RouteGroup } from '#api/traffic/route.ts';
import type { Log } from '#runtime/log.ts';
import { clustersOf, type ClusterView } from '#sidecar/admin/views.ts';

import { Rig, serviceOf, spiffe, type TestSidecar } from '../sidecar/rig.ts';
import { ChaosEndpoint, moods } from './chaos-endpoint.ts';
import { dice, leave, load, type Tally } from './chaos-load.ts';

/** Of one's own choice, to look for more: `CHAOS_SEED=7 CHAOS_SECONDS=300 npx vitest run …`. */
const seed = Number(process.env['CHAOS_SEED'] ?? 20_261_127);
const seconds = Number(process.env['CHAOS_SECONDS'] ?? 12);

const endpoints = 10;
const maxEjectionPercent = 50;
const ailingMax = 4;
const host = 'payments.shop.svc.cluster.local';

const outlier: DestinationPolicy = {
  host,
  source: 'DestinationRule shop/payments',
  policy: {
    outlier: {
      consecutive5xx: 3,
      consecutiveGatewayErrors: 0,
      splitLocalOrigin: false,
      consecutiveLocalOrigin: 0,
      intervalMs: 100,
      baseEjectionMs: 300,
      maxEjectionPercent,
      minHealthPercent: 0,
    },
  },
  ports: {},
  subsets: [],
};

const retries: RouteGroup = {
  key: 'VirtualService/shop/payments',
  hosts: [host],
  port: 0,
  http: [
    {
      name: 'all',
      source: 'VirtualService shop/payments',
      path: 'spec.http[0]',
      matches: [],
      action: {
        kind: 'forward',
        destinations: [{ destination: { host, port: 0, subset: '' }, weight: 1 }],
      },
      retry: {
        attempts: 4,
        perTryTimeoutMs: 500,
        on: ['5xx', 'reset', 'connect-failure'],
        statuses: [],
        backoffMs: 5,
        previousHosts: 'avoid',
      },
    },
  ],
  tls: [],
  tcp: [],
};

interface Line {
  readonly message: string;
  readonly address: unknown;
}

let rig: Rig;
let client: TestSidecar;
let fleet: ChaosEndpoint[];
let callees: TestSidecar[];
const lines: Line[] = [];
/** Endpoints left out, at the moment of each ejection. */
const leftOut: number[] = [];
/** Highest number of connections to one endpoint that was seen. */
let connectionsMost = 0;

const seen = (): ClusterView => clustersOf(client.upstreams!)[0]!;
const ejectedNow = (): number => seen().endpoints.filter((one) => one.health === 'ejected').length;

const log: Log = {
  debug: () => undefined,
  info: (fields, message) => void lines.push({ message, address: fields['address'] }),
  warn: (fields, message) => {
    lines.push({ message, address: fields['address'] });
    if (message === 'endpoint ejected') leftOut.push(ejectedNow());
  },
  error: () => undefined,
  child: () => log,
};

function heapMb(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** At every step one endpoint takes another mood; no more than some ail at once. */
async function torment(random: () => number, untilMs: number): Promise<void> {
  while (performance.now() < untilMs) {
    await sleep(40 + random() * 120);
    const one = fleet[Math.floor(random() * endpoints)]!;
    const mood = moods[Math.floor(random() * moods.length)]!;
    const ailing = fleet.filter((other) => other !== one && other.mood !== 'fine').length;
    await one.become(ailing >= ailingMax ? 'fine' : mood);
    // Connections break as well, of healthy endpoints too.
    const callee = callees[Math.floor(random() * callees.length)]!;
    if (random() < 0.05) void callee.connections.drain(0);
    connectionsMost = Math.max(connectionsMost, ...seen().endpoints.map((e) => e.connections));
  }
  await Promise.all(fleet.map((one) => one.become('fine')));
}

describe('a service whose endpoints fail at random under load', () => {
  let tally: Tally;
  let grownMb = 0;

  beforeAll(async () => {
    rig = await Rig.create();
    fleet = await Promise.all(Array.from({ length: endpoints }, () => new ChaosEndpoint().start()));
    for (const one of fleet) rig.onClose(() => one.close());
    callees = [];
    const called: Partial<Endpoint>[] = [];
    // Every other one has a sidecar of its own, so that all meet HTTP/2 with mutual TLS and plain HTTP/1.1.
    for (const [i, { port: application }] of fleet.entries()) {
      if (i % 2 === 0) {
        const callee = await rig.sidecar({ application });
        callees.push(callee);
        called.push({ port: callee.inboundPort, identity: spiffe('shop', 'payments') });
      } else called.push({ port: application });
    }
    client = await rig.sidecar({
      account: 'web',
      services: [serviceOf('payments', called)],
      traffic: { routes: [retries], destinations: [outlier] },
      log,
    });
    await load(client.outboundPort, 'http://payments/', 8, performance.now() + 500);
    const beforeMb = heapMb();
    const untilMs = performance.now() + seconds * 1000;
    [tally] = await Promise.all([
      load(client.outboundPort, 'http://payments/', 24, untilMs),
      torment(dice(seed), untilMs),
      leave(client.outboundPort, 'http://payments/', dice(seed + 1), untilMs),
      leave(client.outboundPort, 'http://payments/', dice(seed + 2), untilMs),
    ]);
    // Ejections last longer each time, here 3 s at most; all are over when each was quiet for long enough.
    for (let i = 0; i < 1000 && ejectedNow() > 0; i += 1) await sleep(20);
    grownMb = heapMb() - beforeMb;
  });
  afterAll(() => rig.close());

  test('at least 99.9 % of the calls succeed', () => {
    const bad = [...tally.bad.values()].reduce((sum, number) => sum + number, 0);
    const share = tally.good / (tally.good + bad);
    expect(tally.good).toBeGreaterThan(100 * seconds);
    const answers = Object.fromEntries(tally.bad);
    expect({ answers, kept: share >= 0.999 }).toEqual({ answers, kept: true });
  });

  test('endpoints were ejected, never more than may be', () => {
    expect(leftOut.length).toBeGreaterThan(seconds / 2);
    expect(Math.max(...leftOut)).toBeLessThanOrEqual((endpoints * maxEjectionPercent) / 100);
  });

  test('all of them return, and each ejection and return is one line', () => {
    expect(ejectedNow()).toBe(0);
    expect(lines.filter(({ message }) => message === 'endpoint ejected').length).toBe(
      leftOut.length,
    );
    // In turn, for each endpoint.
    for (const { address } of seen().endpoints) {
      const own = lines.filter((line) => line.address === address).map(({ message }) => message);
      const turns = ['endpoint ejected', 'ejected endpoint returned'];
      expect(own).toEqual(own.map((_, i) => turns[i % 2]));
      expect(own.length % 2).toBe(0);
    }
  });

  test('every try has ended, once, also of callers that left', () => {
    const left = client.telemetry.flags.filter((flags) => flags.includes('DC'));
    expect(left.length).toBeGreaterThan(10 * seconds);
    expect(seen().endpoints.map(({ active }) => active)).toEqual(Array(endpoints).fill(0));
    const [[, cluster] = []] = [...client.upstreams!.all()];
    expect(cluster?.active).toBe(0);
    expect(client.faults).toEqual([]);
  });

  test('connections and memory do not grow', () => {
    expect(connectionsMost).toBeLessThanOrEqual(24 + 8);
    expect(grownMb).toBeLessThan(20);
  });
});
