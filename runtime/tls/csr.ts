// A new key and the request to have it certified: PKCS#10 (RFC 2986) over our own DER, since an X.509 library costs memory.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { bitString, context, integer, oid, sequence, toPem } from './der.ts';

export interface KeyAndCsr {
  /** ECDSA P-256. */
  readonly key: KeyObject;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly csrPem: string;
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

/** Makes a P-256 key and a request for it. The subject is empty: the CA takes the names from the proven identity. */
export function createKeyAndCsr(): KeyAndCsr {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = integer(Buffer.from([0]));
  const subject = sequence();
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const attributes = context(0);
  const info = sequence(version, subject, publicKeyInfo, attributes);
  const signature = sign('sha256', info, { key: privateKey, dsaEncoding: 'der' });
  const csr = sequence(info, ecdsaWithSha256, bitString(signature));
  return {
    key: privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    csrPem: toPem('CERTIFICATE REQUEST', csr),
  };
}
