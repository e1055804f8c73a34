// The script in a real Redis does what the algorithms do here, in virtual time.
import { createClient } from '@redis/client';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Limit } from '#api/kinds/rate-limit.ts';
import { taken } from '#sidecar/limit/algorithm.ts';
import { algorithmOf, scriptArgumentsOf } from '#sidecar/limit/algorithms.ts';
import { script } from '#sidecar/limit/script.ts';

import { redisIsMissing, redisMissingText, RedisServer } from './redis-server.ts';

/** The clock is what the test says, in seconds and microseconds as TIME gives it. */
const virtual = script.replace(
  "redis.call('TIME')",
  '{ tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV]) }',
);
const beginMs = Date.UTC(2026, 0, 31, 12, 0, 0);
const base = { name: 'one', enforce: true, maxKeys: 10, scope: 'shared' } as const;

// Keys expire by the real clock: in virtual time all of it takes hours.
const limits: readonly Limit[] = [
  { ...base, tokenBucket: { rate: 3, per: '1h', burst: 4 } },
  { ...base, leakyBucket: { rate: 7, per: '10h', burst: 2, delay: false } },
  { ...base, fixedWindow: { limit: 3, window: '1h' } },
  { ...base, slidingWindow: { limit: 4, window: '1h', precision: 'counter' } },
  { ...base, slidingWindow: { limit: 3, window: '1h', precision: 'exact' } },
  { ...base, quota: { limit: 3, per: 'day', timeZone: 'UTC' } },
  { ...base, quota: { limit: 5, per: 'month', timeZone: 'UTC' } },
];

describe.skipIf(redisIsMissing)(`the script of shared limits${redisMissingText}`, () => {
  let server: RedisServer;
  let client: ReturnType<typeof createClient>;
  let keys = 0;

  beforeAll(async () => {
    server = await RedisServer.start();
    client = createClient({ RESP: 2, socket: { host: '127.0.0.1', port: server.port } });
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });

  function run(list: readonly Limit[], names: readonly string[], now: number): Promise<number[]> {
    const args = list.flatMap((limit) => {
      const [kind, ...numbers] = scriptArgumentsOf(limit)?.(now) ?? ['', 0, 0, 0, 0];
      return [kind, limit.enforce ? '1' : '0', ...numbers.map(String)];
    });
    const time = [Math.floor(now / 1000), Math.round((now % 1000) * 1000)].map(String);
    const words = ['EVAL', virtual, String(names.length), ...names, ...args, ...time];
    return client.sendCommand<number[]>(words);
  }

  test('admits, leaves and promises the same as the algorithms of this process', async () => {
    const gap = fc.oneof(fc.constant(0), fc.nat({ max: 600_000 }), fc.nat({ max: 20_000_000 }));
    const gaps = fc.array(gap, { minLength: 1, maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...limits), gaps, async (limit, list) => {
        const algorithm = algorithmOf(limit);
        const cells = new Float64Array(algorithm.stride);
        const key = `key ${(keys += 1)}`;
        let now = beginMs;
        for (const ms of list) {
          now += ms;
          const admitted = algorithm.take(cells, 0, now);
          const { remaining, resetMs, retryMs } = taken;
          const [ok, left = 0, reset = 0, retry = 0] = await run([limit], [key], now);
          expect([ok, left]).toEqual([admitted ? 1 : 0, remaining]);
          expect(Math.abs(reset - resetMs)).toBeLessThanOrEqual(1.01);
          expect(Math.abs(retry - retryMs)).toBeLessThanOrEqual(1.01);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a request that one limit refuses uses up none of the others, and dry runs refuse none', async () => {
    const wide: Limit = { ...base, fixedWindow: { limit: 10, window: '24h' } };
    const narrow: Limit = {
      ...base,
      slidingWindow: { limit: 1, window: '24h', precision: 'exact' },
    };
    const names = ['wide', 'narrow'];
    const seen: number[][] = [];
    for (let i = 0; i < 3; i++) seen.push(await run([wide, narrow], names, beginMs));
    expect(seen.map(([ok, left, , , , narrowOk]) => [ok, left, narrowOk])).toEqual([
      [1, 9, 1],
      [1, 8, 0],
      [1, 8, 0],
    ]);
    const dry = { ...narrow, enforce: false };
    const passed = await run([wide, dry], names, beginMs);
    expect([passed[1], passed[5]]).toEqual([8, 0]);
    expect((await run([wide, dry], names, beginMs))[1]).toBe(7);
  });

  test('delays grow by the rate, and keys go when they count for nothing', async () => {
    const slow: Limit = { ...base, leakyBucket: { rate: 10, per: '1s', burst: 5, delay: true } };
    const now = Date.now();
    const delays: number[] = [];
    for (let i = 0; i < 7; i++) delays.push((await run([slow], ['slow'], now))[4] ?? -1);
    expect(delays).toEqual([0, 100, 200, 300, 400, 500, 0]);
    const ttl = await client.sendCommand<number>(['PTTL', 'slow']);
    expect(ttl).toBeGreaterThan(100);
    expect(ttl).toBeLessThanOrEqual(601);
  });
});
