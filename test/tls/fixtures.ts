// A throw-away certificate authority for tests, and certificates of it.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';

import * as x509 from '@peculiar/x509';

export interface TestCa {
  readonly certPem: string;
  readonly key: webcrypto.CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
}

export interface Issue {
  /** SPIFFE ID, for a workload. */
  readonly uri?: string;
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly commonName?: string;
  /** Life from now, in seconds; negative: expired already. One hour unless told. */
  readonly lifeSeconds?: number;
}

export interface Issued {
  readonly keyPem: string;
  /** The leaf alone: the root of the test signs it. */
  readonly certPem: string;
  /** The test's root. */
  readonly caPem: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

x509.cryptoProvider.set(webcrypto);

/** A self-signed P-256 root. @param name common name, to tell two roots apart in failures */
export async function makeTestCa(name = 'selvage test root', lifeDays = 1): Promise<TestCa> {
  const key = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + lifeDays * 86_400_000),
    signingAlgorithm: ALGORITHM,
    keys: key,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign),
      await x509.SubjectKeyIdentifierExtension.create(key.publicKey),
    ],
  });
  return { certPem: pem(certificate), key, certificate };
}

/** A P-256 key and a leaf certificate for both ends of TLS. */
export async function issue(ca: TestCa, names: Issue): Promise<Issued> {
  const key = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const lifeMs = (names.lifeSeconds ?? 3600) * 1000;
  const alternatives: x509.JsonGeneralNames = [
    ...(names.uri === undefined ? [] : [{ type: 'url' as const, value: names.uri }]),
    ...(names.dns ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(names.ip ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: names.commonName === undefined ? '' : `CN=${names.commonName}`,
    issuer: ca.certificate.subject,
    notBefore: new Date(Math.min(Date.now(), Date.now() + lifeMs) - 120_000),
    notAfter: new Date(Date.now() + lifeMs),
    signingAlgorithm: ALGORITHM,
    publicKey: key.publicKey,
    signingKey: ca.key.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...(alternatives.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(alternatives, names.commonName === undefined)]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.certificate),
    ],
  });
  return { keyPem: await keyPem(key.privateKey), certPem: pem(certificate), caPem: ca.certPem };
}

function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
