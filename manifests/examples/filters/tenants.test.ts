// A filter is a file with functions, so its tests need no mesh.
import { expect, test } from 'vitest';

import { onRequest, onResponse } from './tenants.ts';

const request = {
  method: 'GET',
  path: '/tenants/items',
  authority: 'api',
  headers: [['x-tenant-key', 'key-of-ada']],
  body: null,
  peer: [],
  claims: null,
} as const;

test('a tenant gets its own part', async () => {
  expect(await onRequest(request)).toMatchObject({
    path: '/tenants/ada/items',
    headers: { set: { 'x-tenant': 'ada' } },
  });
});

test('nobody is let in without a key', async () => {
  expect(await onRequest({ ...request, headers: [] })).toMatchObject({ respond: { status: 401 } });
});

test('no answer shows a password', async () => {
  const body = new TextEncoder().encode('{"password":"secret"}');
  const edits = await onResponse({ status: 200, headers: [], body }, request);
  expect(edits?.body).toBe('{"password":null}');
});
