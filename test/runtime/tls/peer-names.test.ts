import { X509Certificate } from 'node:crypto';

import { expect, test } from 'vitest';

import { svidUri, uriNames } from '#runtime/tls/peer-names.ts';

import { issue, makeTestCa } from '../../tls/fixtures.ts';

test('the URI of a certificate is read among its other names', async () => {
  const ca = await makeTestCa();
  const uri = 'spiffe://cluster.local/ns/a/sa/b';
  const { certPem } = await issue(ca, { uri, dns: ['a.example'], ip: ['127.0.0.1'] });
  expect(svidUri(new X509Certificate(certPem))).toBe(uri);
});

test('a DNS name that spells a URI entry is not taken for one', async () => {
  const ca = await makeTestCa();
  const { certPem } = await issue(ca, {
    uri: 'spiffe://cluster.local/ns/mallory/sa/m',
    dns: ['x, URI:spiffe://cluster.local/ns/a/sa/b'],
  });
  const certificate = new X509Certificate(certPem);
  expect(certificate.subjectAltName).toContain('ns/a/sa/b');
  expect(uriNames(certificate.subjectAltName)).toEqual(['spiffe://cluster.local/ns/mallory/sa/m']);
});

test('two URIs make no identity, and text in another form gives none at all', () => {
  expect(uriNames('URI:spiffe://a/b, URI:spiffe://c/d')).toEqual(['spiffe://a/b', 'spiffe://c/d']);
  expect(svidUri(undefined)).toBe('');
  expect(uriNames('URI:spiffe://a/b,URI:spiffe://c/d')).toEqual([]);
  expect(uriNames('URI:"spiffe://a')).toEqual([]);
});

test('a URI with a comma is one URI', async () => {
  const ca = await makeTestCa();
  const uri = 'spiffe://t/ns/a/sa/b, URI:spiffe://t/ns/c/sa/d';
  const { certPem } = await issue(ca, { uri });
  expect(svidUri(new X509Certificate(certPem))).toBe(uri);
});
