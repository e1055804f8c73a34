// What is cut from records: values of queries, headers that carry credentials.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { InForce } from '#sidecar/in-force.ts';
import { secretHeadersOf, withoutQueryValues } from '#sidecar/observe/secrets.ts';
import { snapshotOf } from '#test/sidecar/rig.ts';

test('values of a query are cut, its names stay', () => {
  const cut = {
    '/a': '/a',
    '/a?': '/a?',
    '/a?b': '/a?b',
    '/a?b=': '/a?b=',
    '/a=b?c=d&e=f=g&h': '/a=b?c=…&e=…&h',
    '/?x=1?y=2#z=3': '/?x=…',
  };
  for (const [path, expected] of Object.entries(cut)) {
    expect(withoutQueryValues(path)).toBe(expected);
  }
});

test('no value survives, whatever the path', () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const value = fc.stringMatching(/^[^&\s]{4,40}$/).map((text) => `SECRET${text}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { minLength: 1 }), (pairs) => {
      const path = `/p?${pairs.map(([key, text]) => `${key}=${text}`).join('&')}`;
      expect(withoutQueryValues(path)).not.toContain('SECRET');
    }),
  );
});

test('headers of credentials are the usual ones, and those that policies name', () => {
  const inForce = new InForce();
  const policies = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: a, jwks: '{"keys":[]}', fromHeaders: [{ name: X-Assertion }] }] }
---
apiVersion: selvage.dev/v1alpha1
kind: ApiKeyAuthentication
metadata: { name: partners, namespace: shop }
spec:
  from: [{ header: X-Partner }]
  consumers: [{ name: a, hashes: ["${'a'.repeat(64)}"] }]
`;
  inForce.apply(snapshotOf({ policies }));
  const isSecret = secretHeadersOf(inForce.current());
  expect(secretHeadersOf(inForce.current())).toBe(isSecret);
  const secret = [
    'Authorization',
    'cookie',
    'set-cookie',
    'x-api-key',
    'X-CSRF-Token',
    'x-partner',
  ];
  for (const name of [...secret, 'X-ASSERTION', 'proxy-authorization', 'x-user-password']) {
    expect([name, isSecret(name)]).toEqual([name, true]);
  }
  for (const name of ['host', 'x-user', 'x-forwarded-client-cert', 'traceparent']) {
    expect([name, isSecret(name)]).toEqual([name, false]);
  }
  expect(secretHeadersOf(null)('x-partner')).toBe(false);
});
