// What endpoints hear of the tries of a call: each ends, once, with what became of it, whoever gives up.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { OutlierDetection, TrafficPolicy } from '#api/traffic/destination.ts';
import type { HttpRoute, RouteGroup } from '#api/traffic/route.ts';
import type { Cluster } from '#sidecar/upstream/cluster.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';

import { exchange, plain, Rig, serviceOf, type TestSidecar } from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const hostOf = (name: string): string => `${name}.shop.svc.cluster.local`;

function group(route: Partial<HttpRoute>): RouteGroup {
  const destination = { host: hostOf('payments'), port: 0, subset: '' };
  const all: HttpRoute = {
    name: 'all',
    source: 'VirtualService shop/payments',
    path: 'spec.http[0]',
    matches: [],
    action: { kind: 'forward', destinations: [{ destination, weight: 1 }] },
    ...route,
  };
  const hosts = [hostOf('payments')];
  return { key: 'VirtualService/shop/payments', hosts, port: 0, http: [all], tls: [], tcp: [] };
}

interface Called {
  readonly handlers: Readonly<Record<string, readonly Handler[]>>;
  readonly route?: Partial<HttpRoute>;
  readonly policies?: Readonly<Record<string, TrafficPolicy>>;
}

async function caller({ handlers, route = {}, policies = {} }: Called): Promise<TestSidecar> {
  const services = [];
  for (const [name, some] of Object.entries(handlers)) {
    const ports = [];
    for (const handler of some) ports.push({ port: (await rig.application(handler)).port });
    services.push(serviceOf(name, ports));
  }
  const destinations = Object.entries(policies).map(([name, policy]) => ({
    host: hostOf(name),
    source: `DestinationRule shop/${name}`,
    policy,
    ports: {},
    subsets: [],
  }));
  const traffic = { routes: [group(route)], destinations };
  return rig.sidecar({ account: 'web', services, traffic });
}

function clusterOf(client: TestSidecar, name: string): Cluster {
  const found = [...client.upstreams!.all()].find(([, one]) => one.name.startsWith(name));
  if (found === undefined) throw new Error(`${name} is not known`);
  return found[1];
}

const head = (method: string, lines = ''): string =>
  `${method} http://payments/ HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n${lines}\r\n`;

const hung: Handler = (q, s) => {
  if (q.method === 'POST') s.write('part');
};
const failing: Handler = (_q, s) => void s.writeHead(503).end();
const fine: Handler = (q, s) => void q.resume().on('end', () => s.end('fine'));
const shadow = { destination: { host: hostOf('shadow'), port: 0, subset: '' }, percent: 100 };

const detection: OutlierDetection = {
  consecutive5xx: 1,
  consecutiveGatewayErrors: 0,
  splitLocalOrigin: false,
  consecutiveLocalOrigin: 0,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};

describe('a client that goes', () => {
  test('while a fault holds its call up leaves nothing under way', async () => {
    let asked = 0;
    const client = await caller({
      handlers: { payments: [() => void (asked += 1)] },
      route: { fault: { delay: { percent: 100, delayMs: 120 } } },
    });
    const socket = await plain(client.outboundPort);
    socket.write(head('GET'));
    await sleep(40);
    socket.destroy();
    await expect.poll(() => client.telemetry.flags).toEqual(['DI,DC']);
    await sleep(150);
    expect([asked, clusterOf(client, 'payments').active]).toEqual([0, 0]);
  });

  test('while its body is read for a copy leaves nothing under way', async () => {
    let asked = 0;
    const count: Handler = () => void (asked += 1);
    const client = await caller({
      handlers: { payments: [count], shadow: [count] },
      route: { mirrors: [shadow] },
    });
    const socket = await plain(client.outboundPort);
    socket.write(`${head('POST', 'content-length: 10\r\n')}abc`);
    await sleep(40);
    socket.destroy();
    await expect.poll(() => client.telemetry.flags).toEqual(['DC']);
    await sleep(20);
    const active = ['payments', 'shadow'].map((name) => clusterOf(client, name).active);
    expect([asked, active]).toEqual([0, [0, 0]]);
  });

  test('before, between and within tries leaves nothing under way', async () => {
    const client = await caller({
      handlers: { payments: [hung, failing] },
      route: {
        retry: {
          attempts: 5,
          perTryTimeoutMs: 30,
          on: ['5xx'],
          statuses: [],
          backoffMs: 40,
          previousHosts: 'allow',
        },
      },
      policies: { payments: { outlier: { ...detection, consecutive5xx: 0 } } },
    });
    const some = Array.from({ length: 40 }, async (_, i) => {
      const socket = await plain(client.outboundPort);
      socket.write(head(i % 2 === 0 ? 'GET' : 'POST'));
      await sleep(4 * i);
      socket.destroy();
    });
    await Promise.all(some);
    const cluster = clusterOf(client, 'payments');
    await expect.poll(() => client.telemetry.ended.length).toBe(40);
    expect([cluster.active, ...cluster.members.map(({ active }) => active)]).toEqual([0, 0, 0]);
  });
});

describe('what is learnt of an endpoint', () => {
  test('an answer of gRPC that is asked again of another is the failure that it says', async () => {
    let failed = 0;
    const unavailable: Handler = (_q, s) => {
      failed += 1;
      s.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '14' }).end();
    };
    const client = await caller({
      handlers: { payments: [unavailable, fine] },
      route: {
        retry: {
          attempts: 2,
          perTryTimeoutMs: 0,
          on: ['unavailable'],
          statuses: [],
          backoffMs: 1,
          previousHosts: 'avoid',
        },
      },
      policies: { payments: { outlier: detection } },
    });
    for (let i = 0; i < 12; i += 1) {
      const reply = await exchange(await plain(client.outboundPort), head('GET'));
      expect(reply.body).toContain('fine');
    }
    expect(failed).toBe(1);
    const { members } = clusterOf(client, 'payments');
    expect(members.map(({ ejected }) => ejected)).toEqual([true, false]);
  });
});

describe('copies', () => {
  test('that cannot be written are left out, and the call goes on', async () => {
    const client = await caller({
      handlers: { payments: [fine], shadow: [fine] },
      route: { mirrors: [shadow] },
    });
    const lines = Array.from({ length: http1Limits.headerCountMax - 2 }, (_, i) => `x-${i}: y\r\n`);
    const reply = await exchange(await plain(client.outboundPort), head('GET', lines.join('')));
    expect(reply).toMatchObject({ status: 200 });
    expect(clusterOf(client, 'shadow').active).toBe(0);
    expect(client.faults).toEqual([]);
  });

  test('count as calls: a service that takes no more is sent none, and not blamed', async () => {
    const held: ServerResponse[] = [];
    const client = await caller({
      handlers: { payments: [fine], shadow: [(_q, s) => void held.push(s)] },
      route: { mirrors: [shadow] },
      policies: { shadow: { pool: { maxRequests: 1 }, outlier: detection } },
    });
    for (let i = 0; i < 3; i += 1) {
      await exchange(await plain(client.outboundPort), head('GET'));
    }
    await expect.poll(() => held.length).toBe(1);
    const cluster = clusterOf(client, 'shadow');
    expect(cluster.active).toBe(1);
    expect(cluster.admission.limits?.refused.requests).toBe(2);
    held[0]!.end();
    await once(held[0]!, 'close');
    await expect.poll(() => cluster.active).toBe(0);
    expect(cluster.members[0]?.ejected).toBe(false);
  });
});
