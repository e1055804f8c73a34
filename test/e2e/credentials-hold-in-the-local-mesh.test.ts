// The examples of manifests/examples/edge together in a local mesh: control, sidecars and an identity provider as processes.
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { RawReply } from '#cli/up/send.ts';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.start(join(import.meta.dirname, '../../manifests/examples/edge'));
});
afterAll(() => mesh.stop());

function call(path: string, headers: [string, string][] = [], method = 'GET'): Promise<RawReply> {
  return mesh.call('web', method, `http://api.edge${path}`, headers);
}

function headersOf({ body }: RawReply): Record<string, string | undefined> {
  const { headers } = JSON.parse(body) as { headers: Record<string, string | undefined> };
  return headers;
}

test('keys of the policy and of a Secret make callers known', async () => {
  const acme = await call('/v1/orders', [['x-api-key', 'acme-key-e5b1c6f0']], 'POST');
  expect(acme.status).toBe(200);
  expect(headersOf(acme)['x-consumer']).toBe('acme');
  const globex: [string, string][] = [['authorization', 'ApiKey globex-key-77d02c9a']];
  expect(headersOf(await call('/v1/orders', globex))['x-consumer']).toBe('globex');
  expect((await call('/v1/orders', globex, 'POST')).status).toBe(403);
  expect((await call('/v1/orders')).status).toBe(401);
  expect((await call('/v1/health')).status).toBe(200);
});

test('a token of the caller becomes one for the callee, whose claims are asked for', async () => {
  // Control finds the keys of the issuer once its program runs.
  const reply = await eventually(
    () => call('/orders/1', [['authorization', 'Bearer alice']]),
    ({ status }) => status === 200,
  );
  expect(headersOf(reply)['x-tenant']).toBe('acme');
  const refused = await call('/orders/1', [['authorization', 'Bearer mallory']]);
  expect(refused).toMatchObject({ status: 502, body: 'token exchange refused: invalid_grant' });
  expect((await call('/orders/1')).status).toBe(403);
});

test('an authorizer says who has a session', async () => {
  const known = await call('/pages/a', [['cookie', 'session=ann']]);
  expect(headersOf(known)['x-user']).toBe('ann');
  expect((await call('/pages/a')).status).toBe(302);
});
