import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';

import { uriNames } from '#sidecar/wire/subject-names.ts';

test('URIs are found among other names', () => {
  expect(uriNames('URI:spiffe://td/ns/a/sa/b')).toEqual(['spiffe://td/ns/a/sa/b']);
  expect(
    uriNames('DNS:b.a.svc, URI:spiffe://td/x, IP Address:127.0.0.1, URI:spiffe://td/y'),
  ).toEqual(['spiffe://td/x', 'spiffe://td/y']);
  expect(uriNames('')).toEqual([]);
});

test('one quoted name cannot pass for another', () => {
  const text = 'URI:"spiffe://td/x, URI:spiffe://td/admin"';
  expect(uriNames(text)).toEqual(['spiffe://td/x, URI:spiffe://td/admin']);
});

test('a shape that Node does not write gives no name at all', () => {
  expect(uriNames('URI:spiffe://td/x,URI:spiffe://td/y')).toEqual([]);
  expect(uriNames('URI:"spiffe://td/x')).toEqual([]);
  expect(uriNames('URI:"\\q"')).toEqual([]);
});

test('a quoted name of any text is read back whole', () => {
  assert(
    property(string({ unit: 'binary' }), (name) => {
      expect(uriNames(`DNS:x, URI:${JSON.stringify(name)}`)).toEqual([name]);
    }),
    { numRuns: 200, seed: 3 },
  );
});
