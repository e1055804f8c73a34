// Limits that several sidecars share, on a real Redis over sockets: how much they admit, and what happens to Redis.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import type { Limit } from '#api/kinds/rate-limit.ts';
import { scriptArgumentsOf } from '#sidecar/limit/algorithms.ts';
import { SharedStore, type StoreSpec } from '#sidecar/limit/shared-store.ts';

import { redisIsMissing, redisMissingText, RedisServer } from './redis-server.ts';

const base = { name: 'one', enforce: true, maxKeys: 10, scope: 'shared' } as const;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function redis(port?: number, extra?: readonly string[]): Promise<RedisServer> {
  const server = await RedisServer.start(port, extra);
  closers.push(() => server.stop());
  return server;
}

/** The store of one sidecar, connected. */
function storeOf(address: string, spec: Partial<StoreSpec> = {}): SharedStore {
  const store = new SharedStore({ address, tls: false, timeout: '2s', ...spec }, address);
  closers.push(() => store.close());
  return store;
}

interface Admission {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** Asks once. @returns null when refused; throws without an answer */
async function ask(store: SharedStore, limit: Limit, key: string): Promise<Admission | null> {
  const [kind, ...numbers] = scriptArgumentsOf(limit)?.(Date.now()) ?? ['', 0, 0, 0, 0];
  const sentMs = performance.now();
  const answer = await store.check([key], [kind, '1', ...numbers.map(String)]);
  if (answer === null) throw new Error('no answer');
  return answer[0] === 1 ? { sentMs, answeredMs: performance.now() } : null;
}

/** Four sidecars that ask as fast as they can, several requests at a time. */
async function flood(address: string, limit: Limit, calls: number): Promise<Admission[]> {
  const stores = [1, 2, 3, 4].map(() => storeOf(address));
  const admitted: Admission[] = [];
  let left = calls;
  const caller = async (store: SharedStore): Promise<void> => {
    while (left-- > 0) {
      const admission = await ask(store, limit, 'key');
      if (admission !== null) admitted.push(admission);
    }
  };
  await Promise.all(stores.flatMap((store) => [1, 2, 3, 4, 5].map(() => caller(store))));
  return admitted.toSorted((a, b) => a.answeredMs - b.answeredMs);
}

describe.skipIf(redisIsMissing)(`shared limits${redisMissingText}`, () => {
  test('four sidecars together admit a quota to the last request, and not one more', async () => {
    const { address } = await redis();
    const quota: Limit = { ...base, quota: { limit: 500, per: 'year', timeZone: 'UTC' } };
    expect(await flood(address, quota, 1500)).toHaveLength(500);
  });

  test('four sidecars together admit at most the burst and the rate of a token bucket', async () => {
    const { address } = await redis();
    const bucket: Limit = { ...base, tokenBucket: { rate: 100, per: '1s', burst: 20 } };
    const admitted = await flood(address, bucket, 3000);
    for (const [i, { sentMs }] of admitted.entries()) {
      for (const [k, { answeredMs }] of admitted.slice(i).entries()) {
        // It was decided between the first question and the last answer.
        const first = Math.min(sentMs, ...admitted.slice(i, i + k + 1).map((one) => one.sentMs));
        expect(k + 1).toBeLessThanOrEqual(20 + ((answeredMs - first) * 100) / 1000 + 1e-3);
      }
    }
    expect(admitted.length).toBeGreaterThanOrEqual(20);
  });

  test('four sidecars together admit at most the limit of an exact window in any window', async () => {
    const { address } = await redis();
    const limit = 30;
    const window: Limit = {
      ...base,
      slidingWindow: { limit, window: '200ms', precision: 'exact' },
    };
    const admitted = await flood(address, window, 3000);
    for (let i = limit; i < admitted.length; i++) {
      const some = admitted.slice(i - limit, i + 1);
      const first = Math.min(...some.map(({ sentMs }) => sentMs));
      expect((admitted[i]?.answeredMs ?? 0) - first).toBeGreaterThanOrEqual(200);
    }
    expect(admitted.length).toBeGreaterThanOrEqual(limit);
  });

  test('while Redis hangs each answer is missing in time, soon at once, and comes again after it', async () => {
    const server = await redis();
    const limit: Limit = { ...base, fixedWindow: { limit: 1_000_000, window: '24h' } };
    const store = storeOf(server.address, { timeout: '20ms' });
    await until(async () => (await ask(store, limit, 'a').catch(() => null)) !== null);
    server.hang();
    const startMs = performance.now();
    for (let i = 0; i < 8; i++) await expect(ask(store, limit, 'a')).rejects.toThrow('no answer');
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(8 * 19);
    // From now on it is only probed: a thousand requests cost a few timeouts, not a thousand.
    await ask(store, limit, 'a').catch(() => undefined);
    const many = performance.now();
    for (let i = 0; i < 1000; i++) await ask(store, limit, 'a').catch(() => undefined);
    expect(performance.now() - many).toBeLessThan(5000);
    server.goOn();
    await until(async () => (await ask(store, limit, 'a').catch(() => null)) !== null);
    expect(await ask(store, limit, 'a')).not.toBeNull();
  });

  test('a Redis that is away has no answer, at once, and one that is started anew answers', async () => {
    const server = await redis();
    const limit: Limit = { ...base, fixedWindow: { limit: 2, window: '24h' } };
    const store = storeOf(server.address);
    for (let i = 0; i < 3; i++) await ask(store, limit, 'a');
    expect(await ask(store, limit, 'a')).toBeNull();
    await server.stop();
    await until(async () => {
      const startMs = performance.now();
      const gone = await ask(store, limit, 'a').then(
        () => false,
        () => true,
      );
      return gone && performance.now() - startMs < 50;
    });
    await redis(server.port);
    // Its script is gone with everything else.
    await until(async () => (await ask(store, limit, 'a').catch(() => null)) !== null);
  });

  test('after a failover, when the server takes no writes, the address is asked for anew', async () => {
    const server = await redis();
    const limit: Limit = { ...base, fixedWindow: { limit: 100, window: '24h' } };
    const store = storeOf(server.address);
    expect(await ask(store, limit, 'a')).not.toBeNull();
    const leader = await redis();
    await server.command('REPLICAOF', '127.0.0.1', String(leader.port));
    await until(async () => (await server.command('ROLE')).includes('slave'));
    await expect(ask(store, limit, 'a')).rejects.toThrow('no answer');
    await server.command('REPLICAOF', 'NO', 'ONE');
    await until(async () => (await ask(store, limit, 'a').catch(() => null)) !== null);
  });

  test('a Redis that asks for a password gets the one of the file', async () => {
    const server = await redis(undefined, ['--requirepass', 'open-sesame']);
    const folder = await mkdtemp(join(tmpdir(), 'selvage-redis-'));
    closers.push(() => rm(folder, { recursive: true }));
    const passwordFile = `${folder}/password`;
    await writeFile(passwordFile, 'open-sesame\n');
    const limit: Limit = { ...base, fixedWindow: { limit: 100, window: '24h' } };
    expect(await ask(storeOf(server.address, { passwordFile }), limit, 'a')).not.toBeNull();
    const without = storeOf(server.address, { passwordFile: `${folder}/nothing` });
    await expect(ask(without, limit, 'a')).rejects.toThrow('no answer');
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 300) throw new Error('it never came to be so');
    await sleep(20);
  }
}
