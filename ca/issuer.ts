// An issuer: what signs, the certificates that lead from it to its root, and the checks that make it fit to sign.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { IssuerLife } from './authority.ts';
import type { Signer } from './leaf.ts';
import { createRoot, readCertificate } from './x509.ts';

export interface Issuer extends Signer, IssuerLife {
  /** SHA-256 of the issuer's certificate, the first 16 hexadecimal digits. */
  readonly id: string;
  readonly keyPem: string;
  readonly certificatePem: string;
  /** Certificates between the leaf and the root, the issuer's own first; '' when the root itself signs. */
  readonly intermediatesPem: string;
  readonly rootPem: string;
}

/** Makes a self-signed root that signs leaves itself. */
export async function createSelfSignedIssuer(
  trustDomain: string,
  lifeMs: number,
  nowMs: number,
): Promise<Issuer> {
  const { certificatePem, keyPem } = await createRoot({ trustDomain, lifeMs, nowMs });
  return assembleIssuer(keyPem, [certificatePem]);
}

/**
 * Puts an issuer together from a key and certificates in any order, and checks that it can sign: the key belongs to a
 * CA certificate, every certificate is signed by the next, and the last is a root. Throws with a message for the
 * operator.
 */
export function assembleIssuer(keyPem: string, certificatePems: readonly string[]): Issuer {
  const key = createPrivateKey(keyPem);
  refuseWeakKey(key);
  const certificates = certificatePems.map((pem) => new X509Certificate(pem));
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (own === undefined) throw new Error('none of the certificates belongs to the private key');
  const chain = chainToRoot(own, certificates);
  const facts = chain.map((certificate) => readCertificate(certificate.toString()));
  for (const [index, { isCa, maySign }] of facts.entries()) {
    const subject = chain[index]?.subject.replaceAll('\n', ', ');
    if (!isCa) throw new Error(`"${subject}" is no CA certificate: basicConstraints CA is false`);
    if (!maySign) throw new Error(`"${subject}" may not sign: keyUsage has no keyCertSign`);
  }
  const [first] = facts;
  const root = chain.at(-1);
  if (first === undefined || root === undefined) throw new Error('no certificates were given');
  return {
    id: own.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase(),
    key,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
    subject: first.subject,
    keyId: first.keyId,
    certificatePem: own.toString(),
    intermediatesPem: chain.slice(0, -1).join(''),
    rootPem: root.toString(),
    notBeforeMs: Math.max(...facts.map((fact) => fact.notBeforeMs)),
    notAfterMs: Math.min(...facts.map((fact) => fact.notAfterMs)),
  };
}

/** The certificates of a PEM text, each by itself. */
export function splitPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

function chainToRoot(
  own: X509Certificate,
  certificates: readonly X509Certificate[],
): X509Certificate[] {
  const chain = [own];
  for (let last = own; !last.checkIssued(last);) {
    const next = certificates.find(
      (candidate) => last.checkIssued(candidate) && last.verify(candidate.publicKey),
    );
    if (next === undefined || chain.includes(next)) {
      const issuer = last.issuer.replaceAll('\n', ', ');
      throw new Error(`the chain does not reach a root: add the certificate of "${issuer}"`);
    }
    chain.push(next);
    last = next;
  }
  return chain;
}

function refuseWeakKey(key: KeyObject): void {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const fit =
    key.asymmetricKeyType === 'rsa'
      ? modulusLength >= 2048
      : key.asymmetricKeyType === 'ec' && ['prime256v1', 'secp384r1'].includes(namedCurve ?? '');
  if (!fit) throw new Error("an issuer's key is ECDSA P-256 or P-384, or RSA from 2048 bits");
}
