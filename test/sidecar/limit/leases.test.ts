// Requests under way that several sidecars count together, on a real Redis: how many there are, and what becomes of those whose
// sidecar or whose Redis is gone.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import type { Limit } from '#api/kinds/rate-limit.ts';
import { scriptArgumentsOf } from '#sidecar/limit/algorithms.ts';
import { newLease, type Lease } from '#sidecar/limit/leases.ts';
import { SharedStore } from '#sidecar/limit/shared-store.ts';

import { redisIsMissing, redisMissingText, RedisServer } from './redis-server.ts';

const key = 'selvage:shop/calls/few:l';
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function redis(port?: number): Promise<RedisServer> {
  const server = await RedisServer.start(port);
  closers.push(() => server.stop());
  return server;
}

/** The store of one sidecar. */
function storeOf(address: string, lastMs: number): SharedStore {
  const store = new SharedStore({ address, tls: false, timeout: '2s' }, address, lastMs);
  closers.push(() => store.close());
  return store;
}

function limitOf(most: number): Limit {
  const base = { name: 'few', enforce: true, maxKeys: 10, scope: 'shared' } as const;
  return { ...base, concurrency: { limit: most } };
}

/** Asks once, as a sidecar that is gone before it holds what it gets. @returns null when refused */
async function ask(store: SharedStore, limit: Limit, lastMs: number): Promise<Lease | null> {
  const [kind, most = 0] = scriptArgumentsOf(limit)?.(Date.now()) ?? [''];
  const lease = newLease(key);
  const answer = await store.check([key], [kind, '1', `${most}`, `${lastMs}`, '0', lease.name]);
  if (answer === null) throw new Error('no answer');
  return answer[0] === 1 ? lease : null;
}

async function hold(store: SharedStore, limit: Limit, lastMs: number): Promise<Lease | null> {
  const lease = await ask(store, limit, lastMs);
  if (lease !== null) store.hold(lease);
  return lease;
}

/** A way to a port whose connections can be made to lead nowhere; those that come later lead there again. */
async function passageTo(port: number): Promise<{
  readonly address: string;
  readonly connections: number;
  swallow(): void;
}> {
  const pairs: [Socket, Socket][] = [];
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    pairs.push([near, far]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    for (const socket of pairs.flat()) socket.destroy();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return pairs.length;
    },
    swallow: () => {
      for (const [near, far] of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
  };
}

describe.skipIf(redisIsMissing)(`shared concurrency${redisMissingText}`, () => {
  test('four sidecars together have no more under way than the limit, and as many as it', async () => {
    const { address } = await redis();
    const limit = limitOf(7);
    let underWay = 0;
    let most = 0;
    let admitted = 0;
    const caller = async (store: SharedStore): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const lease = await hold(store, limit, 10_000);
        if (lease === null) continue;
        admitted += 1;
        underWay += 1;
        most = Math.max(most, underWay);
        await turn();
        underWay -= 1;
        store.release(lease);
      }
    };
    const stores = [1, 2, 3, 4].map(() => storeOf(address, 10_000));
    await Promise.all(stores.flatMap((store) => [1, 2, 3, 4, 5].map(() => caller(store))));
    expect(most).toBeLessThanOrEqual(7);
    expect(admitted).toBeGreaterThan(7);
    const store = stores[0]!;
    for (let i = 0; i < 7; i++) {
      await expect.poll(() => hold(store, limit, 10_000)).not.toBeNull();
    }
    expect(await ask(store, limit, 10_000)).toBeNull();
  });

  test('what a sidecar had that is gone comes back, and what one has that is there does not', async () => {
    const server = await redis();
    const limit = limitOf(2);
    const [there, gone] = [storeOf(server.address, 600), storeOf(server.address, 600)];
    const kept = await hold(there, limit, 600);
    expect(await ask(gone, limit, 600)).not.toBeNull();
    expect(await ask(there, limit, 600)).toBeNull();
    await expect.poll(() => hold(there, limit, 600)).not.toBeNull();
    // Both are renewed now, for longer than they would last.
    const score = async (): Promise<string> => server.command('ZSCORE', key, kept?.name ?? '');
    for (let renewals = 0; renewals < 6; renewals++) {
      const before = await score();
      await expect.poll(score).not.toBe(before);
      expect(await ask(there, limit, 600)).toBeNull();
    }
    if (kept !== null) there.release(kept);
    await expect.poll(() => ask(there, limit, 600)).not.toBeNull();
  });

  test('a Redis that is started anew soon knows again of what is under way', async () => {
    const server = await redis();
    const limit = limitOf(1);
    const store = storeOf(server.address, 600);
    expect(await hold(store, limit, 600)).not.toBeNull();
    await server.stop();
    const again = await redis(server.port);
    await expect.poll(() => again.command('ZCARD', key)).toBe(':1\r\n');
    await expect.poll(() => ask(store, limit, 600).catch(() => 'no answer')).toBeNull();
  });

  test('a Redis that is started anew is told as soon as it is there', async () => {
    const server = await redis();
    // Renewed every 20 s: it is not what the test waits for.
    const store = storeOf(server.address, 60_000);
    expect(await hold(store, limitOf(1), 60_000)).not.toBeNull();
    await server.stop();
    const again = await redis(server.port);
    await expect.poll(() => again.command('ZCARD', key), { timeout: 10_000 }).toBe(':1\r\n');
  });

  test('a Redis that vanished without a word is asked by another connection, though no request comes', async () => {
    const server = await redis();
    const way = await passageTo(server.port);
    const store = storeOf(way.address, 600);
    const lease = await hold(store, limitOf(1), 600);
    expect(lease).not.toBeNull();
    way.swallow();
    await expect.poll(() => way.connections, { timeout: 10_000 }).toBe(2);
    const score = async (): Promise<string> => server.command('ZSCORE', key, lease?.name ?? '');
    const before = await score();
    await expect.poll(score).not.toBe(before);
    expect(await ask(store, limitOf(1), 600)).toBeNull();
  });

  test('a store that nobody uses any more is there until its last request has ended', async () => {
    const server = await redis();
    const limit = limitOf(1);
    const store = storeOf(server.address, 600);
    const lease = await hold(store, limit, 600);
    store.close();
    const other = storeOf(server.address, 600);
    const before = await server.command('ZSCORE', key, lease?.name ?? '');
    await expect.poll(() => server.command('ZSCORE', key, lease?.name ?? '')).not.toBe(before);
    expect(await ask(other, limit, 600)).toBeNull();
    if (lease !== null) store.release(lease);
    await expect.poll(() => ask(other, limit, 600)).not.toBeNull();
  });
});
