import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { writePage } from '#sidecar/telemetry/exposition.ts';
import type { Planes } from '#sidecar/admin/planes.ts';
import { createLog } from '#runtime/log.ts';
import { InForce } from '#sidecar/in-force.ts';
import { readSidecarSettings } from '#sidecar/settings.ts';
import type { EjectionEvent } from '#sidecar/upstream/outlier/ejections.ts';
import { mergeClusters, startWorkers } from '#sidecar/workers/workers.ts';
import {
  exchange,
  get,
  HandIdentity,
  mutual,
  plain,
  Rig,
  snapshotOf,
  spiffe,
  strict,
} from '#test/sidecar/rig.ts';

const url = new URL('./crashing-worker.ts', import.meta.url);
let rig: Rig;
let inForce: InForce;

beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** @param meanwhile called while the workers start */
async function start(policies = '', meanwhile = (): void => undefined): Promise<Planes> {
  const application = await rig.application((_request, response) => response.end('ok'));
  const settings = readSidecarSettings(
    {
      SELVAGE_NAMESPACE: 'shop',
      SELVAGE_WORKLOAD: 'payments',
      SELVAGE_TRUST_BUNDLE_FILE: 'unused',
      SELVAGE_CERT_FILE: 'unused',
      SELVAGE_KEY_FILE: 'unused',
      SELVAGE_SNAPSHOT_FILE: 'unused',
      SELVAGE_INBOUND: `127.0.0.1:0=8080>127.0.0.1:${application.port}`,
      SELVAGE_OUTBOUND: '127.0.0.1:0',
      SELVAGE_LOG_LEVEL: 'silent',
    },
    ['--concurrency', '2'],
  );
  inForce = new InForce();
  inForce.apply(snapshotOf({ policies, application: application.port }, 1));
  const identity = new HandIdentity(await rig.svid(spiffe('shop', 'payments')));
  const log = createLog('test', 'silent');
  const starting = startWorkers({ settings, inForce, identity, log, workers: 2 }, url);
  meanwhile();
  const planes = await starting;
  rig.onClose(async () => {
    for (const closer of planes.closers) await closer.close();
  });
  return planes;
}

async function call(port: number): Promise<number> {
  return (await exchange(await plain(port), get('/'))).status;
}

async function counted(planes: Planes, pattern: RegExp): Promise<number> {
  const { body } = writePage(await planes.families(), 'text');
  const lines = body.split('\n').filter((line) => pattern.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('two workers share a port fairly, and one page has the calls of both', async () => {
  const planes = await start();
  const [port = 0] = planes.ports.inboundPorts;
  const sockets = Array.from({ length: 64 }, () => connect(port, '127.0.0.1'));
  await expect.poll(async () => (await planes.connections()).inbound, { timeout: 5000 }).toBe(64);
  for (const socket of sockets) socket.destroy();
  for (let i = 0; i < 40; i += 1) expect(await call(port)).toBe(200);
  expect(await counted(planes, /^istio_requests_total\{/)).toBe(40);
  expect(await counted(planes, /^istio_request_duration_milliseconds_count\{/)).toBe(40);
  expect(await counted(planes, /^istio_request_duration_milliseconds_bucket\{.*le="\+Inf"/)).toBe(
    40,
  );
});

test('a new snapshot is enforced by every worker', async () => {
  const planes = await start();
  const [port = 0] = planes.ports.inboundPorts;
  inForce.apply(snapshotOf({ policies: strict, application: 1 }, 2));
  const client = await rig.issued(spiffe('shop', 'web'));
  await expect
    .poll(
      async () => {
        const all = await Promise.all(Array.from({ length: 16 }, () => call(port).catch(() => 0)));
        return all.every((status) => status === 0);
      },
      { timeout: 5000 },
    )
    .toBe(true);
  expect((await exchange(await mutual(port, client), get('/'))).status).toBe(200);
});

test('a snapshot that comes while workers start is enforced by every one of them', async () => {
  const planes = await start('', () =>
    inForce.apply(snapshotOf({ policies: strict, application: 1 }, 2)),
  );
  const [port = 0] = planes.ports.inboundPorts;
  const refused = Array.from({ length: 16 }, () => call(port).catch(() => 0));
  expect(await Promise.all(refused)).toEqual(refused.map(() => 0));
});

test('a worker that is started anew while the others drain drains too', async () => {
  const planes = await start();
  const [port = 0] = planes.ports.inboundPorts;
  planes.drain();
  planes.noteOwnPort(65_536);
  await expect
    .poll(() => counted(planes, /^selvage_worker_restarts_total /), { timeout: 10_000 })
    .toBe(1);
  // Both answer again once two workers count connections.
  await expect.poll(() => bothAnswer(planes), { timeout: 10_000 }).toBe(true);
  const replies = await Promise.all(
    Array.from({ length: 24 }, async () => exchange(await plain(port), keptAlive)),
  );
  expect(replies.map(({ headers }) => headers['connection'])).toEqual(replies.map(() => 'close'));
});

test('a worker that crashes is started anew, and no call on the other one fails', async () => {
  const planes = await start();
  const [port = 0] = planes.ports.inboundPorts;
  // Connections that the first worker has: the second one's are cut off by its crash.
  const agents = await Promise.all(Array.from({ length: 24 }, () => keepAlive(port)));
  for (const agent of agents) await agent.call();
  planes.noteOwnPort(65_536);
  await expect
    .poll(() => counted(planes, /^selvage_worker_restarts_total /), { timeout: 10_000 })
    .toBe(1);
  await expect.poll(() => agents.filter((agent) => agent.gone()).length).toBeGreaterThan(0);
  const alive = agents.filter((agent) => !agent.gone());
  expect(alive.length).toBeGreaterThan(0);
  for (const agent of alive) expect(await agent.call()).toContain('200 OK');
  await expect
    .poll(async () => (await planes.clusters()).length + (await counted(planes, /^istio_req/)), {
      timeout: 10_000,
    })
    .toBeGreaterThan(0);
  for (let i = 0; i < 30; i += 1) expect(await call(port)).toBe(200);
});

test('clusters of several workers are one, with the connections of all', () => {
  const endpoint = { address: 'a:1', identity: null, workload: 'n/w', active: 0 };
  const view = (connections: number, lastError: string, health: 'healthy' | 'ejected') => [
    {
      cluster: 'c',
      protocol: 'http',
      endpoints: [{ ...endpoint, connections, lastError, health }],
    },
  ];
  const views = [view(2, '', 'healthy'), view(3, 'refused', 'ejected'), []];
  expect(mergeClusters(views)).toEqual(view(5, 'refused', 'ejected'));
});

const ejectedAt = (at: string): EjectionEvent => ({
  at,
  event: 'ejected',
  address: 'a:1',
  workload: 'n/w',
  reason: 'consecutive-5xx',
  forMs: 1,
});

const viewOf = (...times: string[]) => [
  { cluster: 'c', protocol: 'http', endpoints: [], ejections: times.map(ejectedAt) },
];

test('ejections of several workers are in the order in which they came', () => {
  expect(mergeClusters([viewOf('1', '4'), viewOf('2')])).toEqual(viewOf('1', '2', '4'));
});

const keptAlive = 'GET / HTTP/1.1\r\nhost: payments\r\n\r\n';

async function bothAnswer(planes: Planes): Promise<boolean> {
  const { body } = writePage(await planes.families(), 'text');
  return /^selvage_workers 2$/m.test(body);
}

/** A connection that asks again and again. */
async function keepAlive(
  port: number,
): Promise<{ call: () => Promise<string>; gone: () => boolean }> {
  const socket = await plain(port);
  const state = { gone: false };
  let text = '';
  socket.on('close', () => (state.gone = true));
  socket.on('end', () => (state.gone = true));
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  rig.onClose(() => socket.destroy());
  const call = async (): Promise<string> => {
    text = '';
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    for (let i = 0; i < 500 && !text.endsWith('ok') && !state.gone; i += 1) await sleep(10);
    return text;
  };
  return { call, gone: () => state.gone };
}
