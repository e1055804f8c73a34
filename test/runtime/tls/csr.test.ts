// The certificate request that a process makes for itself, as openssl sees it.
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';

test('openssl verifies the request, and it carries a P-256 key and no names', () => {
  const { csrPem } = createKeyAndCsr();
  const text = execFileSync('openssl', ['req', '-verify', '-text', '-noout'], {
    input: csrPem,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  expect(text).toMatch(/Subject: \n/);
  expect(text).toContain('ASN1 OID: prime256v1');
  expect(text).toContain('ecdsa-with-SHA256');
});

test('the key is given as PKCS#8 PEM too, and is new each time', () => {
  const { key, keyPem } = createKeyAndCsr();
  expect(createPrivateKey(keyPem).equals(key)).toBe(true);
  expect(createKeyAndCsr().keyPem).not.toBe(keyPem);
});
