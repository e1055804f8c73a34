// Every example of manifests/examples/rate-limits in a local mesh: what passes, what is refused, what callers are told.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { RawReply } from '#cli/up/send.ts';
import { redisIsMissing, redisMissingText, RedisServer } from '#test/sidecar/limit/redis-server.ts';

import { eventually, TestMesh } from './local-mesh.ts';

const examples = join(import.meta.dirname, '../../manifests/examples/rate-limits');
let mesh: TestMesh;
let folder: string;
let redis: RedisServer | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-limits-'));
  await cp(examples, folder, { recursive: true });
  if (!redisIsMissing) redis = await RedisServer.start();
  for (const file of ['aws.yaml', 'reports.yaml']) {
    const far = await readFile(join(folder, file), 'utf8');
    const near = far
      .replace('127.0.0.1:6379', redis?.address ?? '127.0.0.1:1')
      .replace('timeout: 20ms', 'timeout: 2s');
    await writeFile(join(folder, file), near);
  }
  mesh = await TestMesh.start(folder);
});
afterAll(async () => {
  await mesh.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

function call(path: string, headers: [string, string][] = [], method = 'GET'): Promise<RawReply> {
  return mesh.call('caller', method, `http://api.limits:8080${path}`, headers);
}

function login(
  user: string,
  path = '/sliding-window/users/7/login',
  method = 'POST',
): Promise<RawReply> {
  return call(path, [['x-user', user]], method);
}

function forwardedFor(list: string): [string, string][] {
  return [['x-forwarded-for', list]];
}

/** Calls one after the other. @returns how many of them passed */
async function passed(calls: number, path: string, headers: [string, string][] = []) {
  let count = 0;
  for (let i = 0; i < calls; i++) if ((await call(path, headers)).status === 200) count += 1;
  return count;
}

test('a token bucket tells the calling workload what is left, and refuses what is over it', async () => {
  const first = await call('/token-bucket/1');
  expect(first.status).toBe(200);
  expect(first.headers.get('ratelimit-policy')).toBe('"per-workload";q=20;w=2');
  expect(first.headers.get('ratelimit')).toMatch(/^"per-workload";r=1\d;t=1$/);
  const replies = await Promise.all(Array.from({ length: 300 }, () => call('/token-bucket/1')));
  const refused = replies.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.headers.get('retry-after')).toBe('1');
  expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(19);
});

test('an exact window counts each user apart, on the paths and methods that it is for', async () => {
  for (let i = 0; i < 5; i++) expect((await login('ada')).status).toBe(200);
  expect(await login('ada')).toMatchObject({ status: 429, body: 'Too Many Requests' });
  expect((await login('grace')).status).toBe(200);
  expect((await login('ada', '/sliding-window/users/7/logout')).status).toBe(200);
  expect((await login('ada', '/sliding-window/users/7/login', 'GET')).status).toBe(200);
});

test('a dry run refuses nobody', async () => {
  expect(await passed(8, '/fixed-window/1')).toBe(8);
});

test('a leaky bucket makes calls wait for their turn', async () => {
  const startMs = performance.now();
  const replies = await Promise.all([1, 2, 3, 4, 5, 6].map(() => call('/leaky-bucket/1')));
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(249);
});

test("Kong's: 100 a minute for each consumer, in its own words", async () => {
  const key: [string, string][] = [['apikey', 'ada']];
  await atTheBeginningOfAMinute();
  expect(await passed(101, '/kong/x', key)).toBe(100);
  const refused = await call('/kong/x', key);
  expect(refused).toMatchObject({ status: 429, body: 'API rate limit exceeded' });
  expect(refused.headers.get('x-ratelimit-limit')).toBe('100');
  expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
  expect((await call('/kong/x', [['apikey', 'grace']])).status).toBe(200);
});

test("Traefik's: a bucket for each client, whatever it writes into X-Forwarded-For itself", async () => {
  expect(await passed(7, '/traefik/x', forwardedFor('9.9.9.9, 10.0.0.1'))).toBe(5);
  expect((await call('/traefik/x', forwardedFor('1.2.3.4, 9.9.9.9, 10.0.0.1'))).status).toBe(429);
  expect((await call('/traefik/x', forwardedFor('8.8.8.8, 10.0.0.1'))).status).toBe(200);
});

test("NGINX's: 503 beyond the burst, and beyond two at once", async () => {
  expect(await passed(8, '/nginx/req/x')).toBe(6);
  const replies = await Promise.all([1, 2, 3, 4].map(() => call('/nginx/conn/x')));
  expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200, 200, 503, 503,
  ]);
  expect((await call('/nginx/conn/x')).status).toBe(200);
});

test("Azure's: 200 in any minute", async () => {
  expect(await passed(201, '/azure/x')).toBe(200);
});

test.skipIf(redisIsMissing)(
  `so many are under way at once, counted in Redis, and others again when they have ended${redisMissingText}`,
  async () => {
    const replies = await Promise.all([1, 2, 3, 4, 5].map(() => call('/reports/x')));
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200, 200, 200, 429, 429,
    ]);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.headers.get('ratelimit-policy')).toBe(
      '"under-way";q=3;qu="concurrent-requests"',
    );
    expect((await call('/reports/x')).status).toBe(200);
  },
);

test.skipIf(redisIsMissing)(
  `AWS's: a quota of the month in Redis for each key, beside a throttle${redisMissingText}`,
  async () => {
    const reply = await call('/aws/x', [['x-api-key', 'ada']]);
    expect(reply.headers.get('ratelimit')).toMatch(
      /^"throttle";r=\d+;t=\d, "quota";r=99999;t=\d+$/,
    );
    expect((await call('/aws/x', [['x-api-key', 'ada']])).headers.get('ratelimit')).toContain(
      '"quota";r=99998;',
    );
    await redis?.stop();
    await eventually(
      () => call('/aws/x', [['x-api-key', 'ada']]),
      ({ status, headers }) =>
        status === 200 && !(headers.get('ratelimit') ?? '').includes('quota'),
    );
  },
);

test('an edit of a limit is in force at once', async () => {
  const file = join(mesh.folder, 'traefik.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replaceAll('burst: 5', 'burst: 2'));
  const reply = await eventually(
    () => call('/traefik/x', forwardedFor('7.7.7.7, 1.1.1.1')),
    ({ headers }) => headers.get('ratelimit-policy')?.startsWith('"client";q=2;') === true,
  );
  expect(reply.headers.get('ratelimit')).toContain('"client";r=1;');
});

/** So that no fixed window ends while it is filled. */
async function atTheBeginningOfAMinute(): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000);
  if (leftMs < 20_000) await new Promise((resolve) => setTimeout(resolve, leftMs + 100));
}
