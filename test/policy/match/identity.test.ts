// SPIFFE IDs against the regular expressions that Istio hands to Envoy.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  namespaceTest,
  principalTest,
  serviceAccountTest,
  splitServiceAccount,
  trustDomainTest,
} from '#policy/match/identity.ts';

const segment = fc.constantFrom('ns', 'sa', 'foo', 'bar', 'a', '', 'ns-x', 'foo.bar');
const identity = fc
  .tuple(fc.constantFrom('spiffe://', 'SPIFFE://', 'https://'), fc.array(segment, { maxLength: 8 }))
  .map(([scheme, segments]) => scheme + segments.join('/'));
const value = fc.constantFrom(
  'foo',
  'bar',
  'a',
  'f*o',
  '*',
  'foo*',
  '*o',
  'foo.bar',
  'fo.',
  'ns',
  '',
);

function quote(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, String.raw`\$&`);
}

test('namespaces', () => {
  fc.assert(
    fc.property(identity, value, (id, name) => {
      const pattern = new RegExp(`^.*/ns/${name.split('*').map(quote).join('.*')}/.*$`);
      expect(namespaceTest(name)(id)).toBe(pattern.test(id));
    }),
    { numRuns: 4000, seed: 8 },
  );
});

test('service accounts', () => {
  fc.assert(
    fc.property(identity, value, value, (id, namespace, account) => {
      const pattern = `^spiffe://.+/ns/${quote(namespace)}/(.+/|)sa/${quote(account)}(/.+)?$`;
      expect(serviceAccountTest(namespace, account)(id)).toBe(new RegExp(pattern).test(id));
    }),
    { numRuns: 6000, seed: 9 },
  );
});

test('a service account without a namespace is of the policy’s own', () => {
  expect(splitServiceAccount('web', 'shop')).toEqual(['shop', 'web']);
  expect(splitServiceAccount('x/web/y', 'shop')).toEqual(['x', 'web/y']);
});

test('trust domains end at the first slash', () => {
  expect(trustDomainTest('cluster*')('spiffe://cluster.local/ns/a')).toBe(true);
  expect(trustDomainTest('*local')('spiffe://cluster/local/ns/a')).toBe(false);
  expect(trustDomainTest('cluster.local')('spiffe://cluster.localx/ns/a')).toBe(false);
  expect(trustDomainTest('cluster.local')('spiffe://cluster.local')).toBe(false);
});

test('principals are the URI without its scheme', () => {
  const id = 'spiffe://cluster.local/ns/foo/sa/web';
  expect(principalTest(['cluster.local/ns/foo/sa/web'])(id)).toBe(true);
  expect(principalTest(['spiffe://cluster.local/ns/foo/sa/web'])(id)).toBe(false);
  expect(principalTest(['*/sa/web'])(id)).toBe(true);
  expect(principalTest(['*//cluster.local/ns/foo/sa/web'])(id)).toBe(false);
  expect(principalTest(['*/ns/foo/*'])(id)).toBe(false);
  expect(principalTest(['cluster.local/ns/foo/*'])(id)).toBe(true);
  expect(principalTest(['*'])(id)).toBe(true);
  expect(principalTest(['*/sa/web'])('https://cluster.local/ns/foo/sa/web')).toBe(false);
});
