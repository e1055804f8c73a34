import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { ClusterAccess } from '#runtime/kubernetes/access.ts';
import {
  createKubeClient,
  KubeError,
  type KubeClient,
  type KubeClientOptions,
  type WatchEvent,
} from '#runtime/kubernetes/client.ts';
import { makeTestCa } from '#test/tls/fixtures.ts';

import { FakeApi, status } from './fake-api.ts';

const pods = '/api/v1/pods';
const inShop = '/api/v1/namespaces/shop/pods';

let api: FakeApi;
const clients: KubeClient[] = [];

beforeEach(async () => {
  api = await FakeApi.start();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await api.close();
});

function clientOf(
  options: KubeClientOptions = {},
  access: Partial<ClusterAccess> = {},
): KubeClient {
  const client = createKubeClient({ ...api.access(), ...access }, options);
  clients.push(client);
  return client;
}

test('an object is created, read, replaced, patched and deleted', async () => {
  const client = clientOf();
  const made = await client.create<{ metadata: { uid: string; resourceVersion: string } }>(inShop, {
    metadata: { name: 'web' },
    spec: { nodeName: 'a' },
  });
  expect(made.metadata.uid).not.toBe('');
  await client.replace(`${inShop}/web`, { ...made, spec: { nodeName: 'b' } });
  await client.patch(`${inShop}/web`, { metadata: { labels: { app: 'web' } } }, 'merge');
  await client.patch(`${inShop}/web`, [{ op: 'add', path: '/spec/x', value: 1 }], 'json');
  await client.patch(`${inShop}/web/status`, { status: { phase: 'Running' } }, 'merge');
  await client.patch(`${inShop}/web`, { spec: { y: 2 } }, 'apply', { fieldManager: 'us' });
  const read = await client.get<{ spec: unknown; status: unknown; metadata: unknown }>(
    `${inShop}/web`,
  );
  expect(read.spec).toEqual({ nodeName: 'b', x: 1, y: 2 });
  expect(read.status).toEqual({ phase: 'Running' });
  expect(read.metadata).toMatchObject({ namespace: 'shop', labels: { app: 'web' } });
  await client.delete(`${inShop}/web`);
  await expect(client.get(`${inShop}/web`)).rejects.toMatchObject({
    status: 404,
    reason: 'NotFound',
  });
  expect(api.seen.map(({ headers }) => headers['content-type'])).toEqual([
    'application/json',
    'application/json',
    'application/merge-patch+json',
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/apply-patch+yaml',
    undefined,
    undefined,
    undefined,
  ]);
  expect(api.seen[5]?.query).toEqual({ fieldManager: 'us' });
});

test('what the server refuses says the call, the status, the reason and the words', async () => {
  const client = clientOf();
  await client.create(inShop, { metadata: { name: 'web' } });
  const again = client.create(inShop, { metadata: { name: 'web' } });
  await expect(again).rejects.toThrow(KubeError);
  await expect(again).rejects.toMatchObject({ status: 409, reason: 'AlreadyExists' });
  await expect(again).rejects.toThrow(/^POST \/api\/v1\/namespaces\/shop\/pods: 409 .*exists/);
  const stale = { metadata: { name: 'web', resourceVersion: '1' } };
  await expect(client.replace(`${inShop}/web`, stale)).rejects.toMatchObject({
    status: 409,
    reason: 'Conflict',
  });
});

test('a page of a proxy in place of a status is an error with its text', async () => {
  api.intercept = () => ({ status: 503, body: 'upstream connect error' });
  await expect(clientOf().get(pods)).rejects.toMatchObject({
    status: 503,
    reason: 'ServiceUnavailable',
    message: expect.stringContaining('upstream connect error') as string,
  });
});

test('only the roots of the cluster are trusted', async () => {
  const other = await makeTestCa('another root');
  await expect(clientOf({}, { caPem: other.certPem }).get(pods)).rejects.toThrow(
    /certificate|sign/,
  );
  expect(api.seen).toEqual([]);
  expect(() => clientOf({}, { caPem: '' })).toThrow(/no certificate of a CA/);
  expect(() => clientOf({}, { server: 'http://127.0.0.1:1' })).toThrow(/no https URL/);
});

test('a path in the URL of the server goes before every call', async () => {
  api.intercept = ({ path }) => ({ status: 200, body: { path } });
  const client = clientOf({}, { server: `${api.url}/clusters/one/` });
  expect(await client.get(pods)).toEqual({ path: '/clusters/one/api/v1/pods' });
});

test('the token is read once for many calls, and anew after the server refused it', async () => {
  let reads = 0;
  let accepted = 'Bearer t1';
  api.intercept = ({ headers }) =>
    headers.authorization === accepted
      ? { status: 200, body: {} }
      : status(401, 'Unauthorized', 'Unauthorized');
  const token = (): Promise<string> => Promise.resolve(`t${(reads += 1)}`);
  const client = clientOf({}, { token });
  await Promise.all([1, 2, 3].map(() => client.get(pods)));
  expect(reads).toBe(1);
  accepted = 'Bearer t2';
  await expect(client.get(pods)).rejects.toMatchObject({ status: 401 });
  await client.get(pods);
  expect(reads).toBe(2);
});

test('a call that gets no answer ends in time and says so', async () => {
  api.intercept = () => new Promise(() => undefined);
  const call = clientOf({ requestTimeoutMs: 100 }).get(pods);
  await expect(call).rejects.toThrow('GET /api/v1/pods: no answer within 100 ms');
});

test('a reply above the limit is refused', async () => {
  api.intercept = () => ({ status: 200, body: { text: 'x'.repeat(5000) } });
  await expect(clientOf({ replyBytesMax: 4096 }).get(pods)).rejects.toThrow(/more than 4096 bytes/);
});

test('a server that is not there is an error that names the call', async () => {
  const client = clientOf({}, { server: 'https://127.0.0.1:1' });
  await expect(client.get(pods)).rejects.toThrow(/^GET \/api\/v1\/pods: .*ECONNREFUSED/);
});

test('a GET that the server puts off is asked again after the time it names; a write is not', async () => {
  let left = 2;
  api.intercept = () => {
    if (left === 0) return { status: 200, body: { done: true } };
    left -= 1;
    return { ...status(429, 'TooManyRequests', 'later'), headers: { 'retry-after': '0' } };
  };
  const client = clientOf();
  expect(await client.get(pods)).toEqual({ done: true });
  expect(api.seen.length).toBe(3);
  left = 1;
  await expect(client.create(pods, {})).rejects.toMatchObject({ status: 429 });
});

test('a watch gives what happens, and ends without an error when its caller ends it', async () => {
  const stop = new AbortController();
  const events: WatchEvent[] = [];
  const done = collect(clientOf().watch(pods, { resourceVersion: '100' }, stop.signal), events);
  await until(() => api.watches === 1);
  api.put(pods, { metadata: { name: 'a', namespace: 'shop' } });
  api.put(pods, { metadata: { name: 'a', namespace: 'shop', labels: { v: '2' } } });
  api.remove(pods, 'a', 'shop');
  await until(() => events.length === 3);
  stop.abort();
  await done;
  expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  await until(() => api.watches === 0);
});

test('a watch asks for 5 to 10 minutes', async () => {
  const stop = new AbortController();
  const done = collect(clientOf().watch(pods, {}, stop.signal), []);
  await until(() => api.watches === 1);
  const seconds = Number(api.seen[0]?.query['timeoutSeconds']);
  expect(seconds).toBeGreaterThanOrEqual(300);
  expect(seconds).toBeLessThanOrEqual(600);
  stop.abort();
  await done;
});

test('a watch from a version that is forgotten ends with Expired, however the server says it', async () => {
  api.put(pods, { metadata: { name: 'a', namespace: 'shop' } });
  api.expire();
  for (const how of ['status', 'event'] as const) {
    api.expiredAs = how;
    const watch = collect(clientOf().watch(pods, { resourceVersion: '100' }, never()), []);
    await expect(watch).rejects.toMatchObject({ status: 410, reason: 'Expired' });
  }
});

test('a watch that is cut is an error, one that the server ends is none', async () => {
  const client = clientOf();
  const outcomes: string[] = [];
  for (const how of ['end', 'reset', 'half'] as const) {
    const done = collect(client.watch(pods, {}, never()), []).then(
      () => 'ended',
      () => 'failed',
    );
    await until(() => api.watches === 1);
    api.cutWatches(how);
    outcomes.push(await done);
  }
  expect(outcomes).toEqual(['ended', 'failed', 'failed']);
});

test('a watch that outlives the time it was asked for is dead', async () => {
  api.endsWatches = false;
  const client = clientOf({ watchSeconds: { min: 0, max: 0 }, watchGraceMs: 100 });
  const watch = collect(client.watch(pods, {}, never()), []);
  await expect(watch).rejects.toThrow(/was to end by itself, and did not within 100 ms/);
});

test('a watch that gets no answer is given up like a call', async () => {
  api.intercept = () => new Promise(() => undefined);
  const watch = collect(clientOf({ requestTimeoutMs: 50 }).watch(pods, {}, never()), []);
  await expect(watch).rejects.toThrow(/no answer within 50 ms/);
});

test('a line of a watch that is no event ends it with an error', async () => {
  for (const line of ['{', '[]', '{"type":"ADDED"}', '{"type":"NEW","object":{}}', 'null', '1']) {
    const done = collect(clientOf().watch(pods, {}, never()), []).catch(String);
    await until(() => api.watches === 1);
    api.sendRaw(line);
    expect(await done).toMatch(/^WatchBroken: GET \/api\/v1\/pods: .* of the watch/);
    await until(() => api.watches === 0);
  }
});

test('events arrive whole however their bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 50 }),
      async (texts, size) => {
        api.cut = (line) => {
          const parts: Buffer[] = [];
          for (let i = 0; i < line.length; i += size) parts.push(line.subarray(i, i + size));
          return parts;
        };
        const stop = new AbortController();
        const events: WatchEvent[] = [];
        const done = collect(clientOf().watch(pods, {}, stop.signal), events);
        await until(() => api.watches === 1);
        for (const text of texts) {
          api.put(pods, { metadata: { name: 'a', namespace: 'shop', annotations: { text } } });
        }
        await until(() => events.length === texts.length);
        stop.abort();
        await done;
        await until(() => api.watches === 0);
        expect(events.map(({ object }) => object.metadata.annotations?.['text'])).toEqual(texts);
      },
    ),
    { numRuns: 20, seed: 5 },
  );
});

async function collect(watch: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
  for await (const event of watch) into.push(event);
}

function never(): AbortSignal {
  return new AbortController().signal;
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 5000, interval: 5 }).toBe(true);
}
