// Limits in real sidecar processes: worker threads that count together, processes that share a Redis, the log and the metrics.
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { redisIsMissing, redisMissingText, RedisServer } from '#test/sidecar/limit/redis-server.ts';
import { exchange, get, plain, Rig, snapshotOf, spiffe } from '#test/sidecar/rig.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let folder: string;

beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-limits-'));
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

function rateLimit(limits: string, more = ''): string {
  return `
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: calls, namespace: shop }
spec: { limits: [${limits}]${more} }
`;
}

async function start(policies: string, env: Record<string, string>): Promise<SidecarProcess> {
  const { port } = await rig.application((_request, response) => response.end('ok'));
  const snapshot = snapshotOf({ application: port, policies }, 1);
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const sidecar = await SidecarProcess.start(files, port, env);
  rig.onClose(() => sidecar.close());
  return sidecar;
}

/** Calls on connections of their own, several at a time. @returns how many were answered with 200 and 429 */
async function flood(sidecars: readonly SidecarProcess[], calls: number): Promise<number[]> {
  const counts = new Map<number, number>();
  let left = calls;
  const caller = async (i: number): Promise<void> => {
    while (left-- > 0) {
      const port = sidecars[i % sidecars.length]?.ready.inboundPorts[0] ?? 0;
      const { status } = await exchange(await plain(port), get('/'));
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, i) => caller(i)));
  return [counts.get(200) ?? 0, counts.get(429) ?? 0];
}

async function decided(sidecar: SidecarProcess, outcome: string): Promise<number> {
  const { body } = await sidecar.admin('/stats/prometheus');
  const line = body
    .split('\n')
    .find((text) => text.startsWith('selvage_limit_requests_total{') && text.includes(outcome));
  expect(line).toContain('namespace="shop",rate_limit="calls",limit="few"');
  return Number(line?.split(' ').at(-1));
}

test('four worker threads have one local limit, one page of metrics, and a log that names it', async () => {
  const accessLog = join(folder, 'access.log');
  const few = '{ name: few, key: [{ from: method }], quota: { limit: 100, per: year } }';
  const sidecar = await start(rateLimit(few), {
    SELVAGE_CONCURRENCY: '4',
    SELVAGE_ACCESS_LOG: accessLog,
    SELVAGE_ACCESS_LOG_FORMAT: 'json',
  });
  expect(await flood([sidecar], 400)).toEqual([100, 300]);
  expect(await decided(sidecar, 'outcome="allowed"')).toBe(100);
  expect(await decided(sidecar, 'outcome="limited"')).toBe(300);
  expect(await sidecar.end()).toBe(0);
  const lines = (await readFile(accessLog, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const refused = lines.filter((line) => line['response_code'] === 429);
  expect(refused).toHaveLength(300);
  expect(refused[0]).toMatchObject({
    response_flags: 'RL',
    response_code_details: 'local_rate_limited',
    why: 'refused by the limit "few" of RateLimit shop/calls (test.yaml:5)',
  });
});

test.skipIf(redisIsMissing)(
  `four sidecar processes with a Redis have one shared limit${redisMissingText}`,
  async () => {
    const redis = await RedisServer.start();
    rig.onClose(() => redis.stop());
    const few = '{ name: few, scope: shared, quota: { limit: 100, per: year } }';
    const policies = rateLimit(few, `, redis: { address: "${redis.address}", timeout: 5s }`);
    const sidecars = await Promise.all([1, 2, 3, 4].map(() => start(policies, {})));
    expect(await flood(sidecars, 300)).toEqual([100, 200]);
    const allowed = await Promise.all(
      sidecars.map((sidecar) => decided(sidecar, 'outcome="allowed"')),
    );
    expect(allowed.reduce((sum, one) => sum + one, 0)).toBe(100);
    expect(await sidecars[0]?.end()).toBe(0);
  },
);

test.skipIf(redisIsMissing)(
  `what a killed process had under way is free again, and not before${redisMissingText}`,
  async () => {
    const redis = await RedisServer.start();
    rig.onClose(() => redis.stop());
    const few = '{ name: few, scope: shared, concurrency: { limit: 1 } }';
    const policies = rateLimit(few, `, redis: { address: "${redis.address}", timeout: 5s }`);
    const [killed, other] = await Promise.all([start(policies, {}), start(policies, {})]);
    if (killed === undefined || other === undefined) throw new Error('no sidecars');
    const under = await plain(killed.ready.inboundPorts[0] ?? 0);
    under.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    expect(String((await once(under, 'data'))[0])).toContain('101');
    const call = async (): Promise<number> =>
      (await exchange(await plain(other.ready.inboundPorts[0] ?? 0), get('/'))).status;
    expect(await call()).toBe(429);
    await killed.end('SIGKILL');
    expect(await call()).toBe(429);
    await expect.poll(call, { timeout: 60_000, interval: 500 }).toBe(200);
    expect(await call()).toBe(200);
  },
);
