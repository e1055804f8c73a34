// Certificates of recorded identities, as Node reads them.
import { X509Certificate } from 'node:crypto';

import { expect, test } from 'vitest';

import { createCertificates } from '#cli/replay/certificates.ts';

const certificates = await createCertificates();

test.each([
  ['cluster.local/ns/foo/sa/sleep', 'URI:spiffe://cluster.local/ns/foo/sa/sleep', undefined],
  ['a/ns/b/sa/c,d/ns/e/sa/f', 'URI:spiffe://a/ns/b/sa/c, URI:spiffe://d/ns/e/sa/f', undefined],
  ['uri:SPIFFE://a/b', 'URI:SPIFFE://a/b', undefined],
  ['dns:x.foo,a/b', 'DNS:x.foo, URI:spiffe://a/b', undefined],
  ['cn:sleep', undefined, 'CN=sleep'],
])('%s has the names %s and the subject %s', (identity, names, subject) => {
  const { key, cert, ca } = certificates.issue(identity);
  const certificate = new X509Certificate(cert);
  const root = new X509Certificate(ca);
  expect(certificate.subjectAltName).toBe(names);
  expect(certificate.subject).toBe(subject);
  expect(certificate.checkIssued(root) && certificate.verify(root.publicKey)).toBe(true);
  expect(key).toContain('PRIVATE KEY');
});

test('an identity has one key for all its calls', () => {
  expect(certificates.clientContext('a/b')).toBe(certificates.clientContext('a/b'));
  expect(certificates.clientContext('a/b')).not.toBe(certificates.clientContext('a/c'));
});
