// Every example of manifests/examples/transformations in a local mesh: what the application gets, and what callers do.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { send, type RawReply } from '#cli/up/send.ts';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;

beforeAll(async () => {
  const examples = join(import.meta.dirname, '../../manifests/examples/transformations');
  mesh = await TestMesh.start(examples);
});
afterAll(() => mesh.stop());

const origin = 'http://api.transformations:8080';

interface Answer {
  readonly asked: {
    readonly url: string;
    readonly headers: Record<string, string>;
    readonly body: string;
  };
  readonly user: object;
  readonly items: readonly object[];
}

function call(path: string, headers: [string, string][] = []): Promise<RawReply> {
  return mesh.call('caller', 'GET', `${origin}${path}`, headers);
}

function answerOf({ body }: RawReply): Answer {
  return JSON.parse(body) as Answer;
}

test('headers', async () => {
  const reply = await call('/headers/a?b', [['x-internal', '1']]);
  const { headers } = answerOf(reply).asked;
  expect(headers).toMatchObject({ 'x-first-path': '/headers/a?b', 'x-tag': 'mesh' });
  expect(headers['x-caller']).toContain('/ns/transformations/sa/caller');
  expect(headers['x-internal']).toBeUndefined();
  expect(reply.headers.get('x-status')).toBe('200');
  expect(reply.headers.get('x-powered-by')).toBeUndefined();
});

test('paths and queries', async () => {
  const { url } = answerOf(await call('/strip/a/b?debug=1&q=2')).asked;
  expect(url).toBe('/a/b?q=2&source=mesh&tag=a%26b');
  expect(answerOf(await call('/users/7/orders/8')).asked.url).toBe('/orders/8/of/7');
});

test('JSON of requests and answers', async () => {
  const body = '{"isAdmin":true,"user":{"mail":"a@b"},"items":[{"price":1,"n":2}]}';
  const reply = await send({
    host: '127.0.0.1',
    port: mesh.pod('caller').sidecar?.outbound ?? 0,
    method: 'POST',
    target: `${origin}/json/a`,
    headers: [
      ['host', 'api.transformations:8080'],
      ['content-type', 'application/json'],
    ],
    body,
    timeoutMs: 10_000,
  });
  const { asked, user, items } = answerOf(reply);
  expect(asked.body).toBe('{"user":{"email":"a@b"},"items":[{"n":2}]}');
  expect(user).toEqual({ name: 'ada' });
  expect(items).toEqual([{ id: 1 }, { id: 2 }]);
});

test('XML for an application of JSON', async () => {
  const reply = await call('/xml/a');
  expect(reply.headers.get('content-type')).toBe('application/xml');
  expect(reply.body).toContain(
    '<answer><user><name>ada</name></user><items><id>1</id><cost>2</cost></items>',
  );
});

test('JSON for an application of gRPC', async () => {
  const orders = 'http://orders.transformations:8080/v1/orders';
  const got = await mesh.call('caller', 'GET', `${orders}/a7`);
  expect(got.headers.get('content-type')).toBe('application/json');
  expect(JSON.parse(got.body)).toEqual({
    id: 'a7',
    totalCents: '1250',
    items: [{ sku: 'tea', count: 2 }],
  });
  const body = '{"id":"b","total_cents":5}';
  const made = await send({
    host: '127.0.0.1',
    port: mesh.pod('caller').sidecar?.outbound ?? 0,
    method: 'POST',
    target: orders,
    headers: [
      ['host', 'orders.transformations:8080'],
      ['content-type', 'application/json'],
    ],
    body,
    timeoutMs: 10_000,
  });
  expect(JSON.parse(made.body)).toEqual({ id: 'b', totalCents: '5' });
  const missing = await mesh.call('caller', 'GET', `${orders}/none`);
  expect(missing.status).toBe(404);
  expect(JSON.parse(missing.body)).toEqual({ code: 5, message: 'no such order' });
});

test('an edit of the YAML is in force at once', async () => {
  const file = join(mesh.folder, 'headers.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('x-tag: mesh', 'x-tag: again'));
  const seen = await eventually(
    async () => answerOf(await call('/headers/a')).asked.headers['x-tag'],
    (tag) => tag === 'again',
  );
  expect(seen).toBe('again');
});
