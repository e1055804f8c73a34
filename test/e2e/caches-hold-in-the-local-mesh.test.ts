// Every example of manifests/examples/caching in a local mesh: what the application is asked, and what it is not.
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { TestMesh } from './local-mesh.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await TestMesh.start(join(import.meta.dirname, '../../manifests/examples/caching'));
});
afterAll(() => mesh.stop());

async function call(path: string, headers: [string, string][] = [], method = 'GET') {
  const url = `http://api.caching:8080${path}`;
  const reply = await mesh.call('caller', method, url, headers);
  return { count: /answer (\d+)/.exec(reply.body)?.[1], status: reply.headers.get('cache-status') };
}

test('what the application says may be kept is given again', async () => {
  const first = await call('/public/a');
  expect(first.status).toBe('selvage;fwd=uri-miss;stored');
  const again = await call('/public/a');
  expect(again.count).toBe(first.count);
  expect(again.status).toContain('selvage;hit;ttl=');
});

test('a catalogue that says nothing is kept for a minute, until it is changed', async () => {
  const first = await call('/catalogue/a/b');
  expect((await call('/catalogue/a/b')).count).toBe(first.count);
  expect((await call('/catalogue/a/b', [], 'POST')).status).toBe('selvage;fwd=method');
  expect((await call('/catalogue/a/b')).count).not.toBe(first.count);
});

test('each caller has answers of its own', async () => {
  const ada = await call('/mine/a', [['authorization', 'Bearer ada']]);
  const grace = await call('/mine/a', [['authorization', 'Bearer grace']]);
  expect(grace.count).not.toBe(ada.count);
  expect((await call('/mine/a', [['authorization', 'Bearer ada']])).count).toBe(ada.count);
});

test('nothing else is kept', async () => {
  const first = await call('/other');
  expect(first.status).toBeUndefined();
  expect((await call('/other')).count).not.toBe(first.count);
});
