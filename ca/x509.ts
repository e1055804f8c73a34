// The one file on @peculiar/x509: making roots and cross certificates, reading what an issuer's certificate says.
import 'reflect-metadata';
import { createHash, createPrivateKey, randomBytes, webcrypto, type KeyObject } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type Extension,
} from '@peculiar/x509';
import { backdateMs } from './authority.ts';

export interface RootRequest {
  readonly trustDomain: string;
  readonly lifeMs: number;
  readonly nowMs: number;
}

export interface CertificateFacts {
  /** DER. */
  readonly subject: Buffer;
  /** subjectKeyIdentifier; of the key's bits where the certificate has none (RFC 5280 section 4.2.1.2). */
  readonly keyId: Buffer;
  readonly isCa: boolean;
  /** keyUsage is absent or has keyCertSign. */
  readonly maySign: boolean;
  /** How many CA certificates may come below this one; null: no limit. */
  readonly pathLength: number | null;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

cryptoProvider.set(webcrypto);

/** A self-signed P-256 root. Each has a name of its own, so that two roots are never taken for one another. */
export async function createRoot(
  request: RootRequest,
): Promise<{ certificatePem: string; keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const name = `CN=selvage root ${randomBytes(4).toString('hex')}, O=${request.trustDomain}`;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(request.nowMs - backdateMs),
    notAfter: new Date(request.nowMs + request.lifeMs),
    extensions: [
      ...caExtensions(),
      new SubjectAlternativeNameExtension([
        { type: 'url', value: `spiffe://${request.trustDomain}` },
      ]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/**
 * The new root's name and key, certified by the old root: who trusts only the old one verifies the new one's leaves
 * through it.
 */
export async function crossSign(
  newRootPem: string,
  oldIssuerPem: string,
  oldKey: KeyObject,
): Promise<string> {
  const newRoot = new X509Certificate(newRootPem);
  const oldIssuer = new X509Certificate(oldIssuerPem);
  const kept = newRoot.extensions.filter((extension) => keptInCross.includes(extension.type));
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: newRoot.subjectName,
    issuer: oldIssuer.subjectName,
    publicKey: newRoot.publicKey,
    signingKey: await importKey(oldKey),
    signingAlgorithm: signingAlgorithm(oldKey),
    notBefore: latest(newRoot.notBefore, oldIssuer.notBefore),
    notAfter: earliest(newRoot.notAfter, oldIssuer.notAfter),
    extensions: [
      ...(kept.length > 0 ? kept : caExtensions()),
      await AuthorityKeyIdentifierExtension.create(oldIssuer.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** Reads a certificate; throws when it is none. */
export function readCertificate(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  const usages = certificate.getExtension(KeyUsagesExtension);
  const keyId = certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  return {
    subject: Buffer.from(certificate.subjectName.toArrayBuffer()),
    keyId: keyId === undefined ? hashOfKey(certificate) : Buffer.from(keyId, 'hex'),
    isCa: constraints?.ca === true,
    maySign: usages === null || (usages.usages & KeyUsageFlags.keyCertSign) !== 0,
    pathLength: constraints?.pathLength ?? null,
    notBeforeMs: certificate.notBefore.getTime(),
    notAfterMs: certificate.notAfter.getTime(),
  };
}

const keptInCross = ['2.5.29.19', '2.5.29.15', '2.5.29.17', '2.5.29.14'];

function caExtensions(): Extension[] {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
}

/** 126 random bits; positive in 16 bytes. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function signingAlgorithm(key: KeyObject): { name: string; namedCurve: string; hash: string } {
  if (key.asymmetricKeyType === 'rsa') {
    return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', namedCurve: '' };
  }
  const wide = key.asymmetricKeyDetails?.namedCurve === 'secp384r1';
  return wide ? { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' } : algorithm;
}

function importKey(key: KeyObject): Promise<CryptoKey> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, signingAlgorithm(key), false, ['sign']);
}

function hashOfKey(certificate: X509Certificate): Buffer {
  const spki = Buffer.from(certificate.publicKey.rawData);
  return createHash('sha1').update(spki).digest();
}

function latest(a: Date, b: Date): Date {
  return a > b ? a : b;
}

function earliest(a: Date, b: Date): Date {
  return a < b ? a : b;
}
