// Signing a leaf: an X.509-SVID written as DER. An X.509 library takes 30 times as long, and this is the hot path.
import { randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  bitString,
  context,
  contextBytes,
  element,
  integer,
  octetString,
  oid,
  sequence,
  tags,
  time,
  toPem,
} from '#runtime/tls/der.ts';
import type { LeafPlan } from './authority.ts';

/** What signs: the key and the names its certificate has. */
export interface Signer {
  readonly key: KeyObject;
  /** DER of the subject of the issuer's certificate. */
  readonly subject: Buffer;
  /** subjectKeyIdentifier of the issuer's certificate. */
  readonly keyId: Buffer;
}

/** The key that is certified, and for how long. */
type LeafKey = Pick<LeafPlan, 'publicKeyInfo' | 'notBeforeMs' | 'notAfterMs'>;

export interface SignedLeaf {
  readonly pem: string;
  /** 32 hexadecimal digits, lower case. */
  readonly serial: string;
}

/** What a certificate says of its holder, as DER. */
interface LeafNames {
  /** A Name (RFC 5280 section 4.1.2.4). */
  readonly subject: Buffer;
  /** GeneralNames; without any there is no alternative name at all. */
  readonly alternative: readonly Buffer[];
}

/** Signs a workload's certificate. */
export function signLeaf(signer: Signer, plan: LeafPlan): SignedLeaf {
  const alternative = [
    uriName(plan.uri),
    ...plan.dnsNames.map(dnsName),
    ...plan.ipAddresses.map((address) => contextBytes(7, ipBytes(address))),
  ];
  return signNamed(signer, plan, { subject: emptySubject, alternative });
}

/** Signs for any names, which no CA of a mesh does: replays need what other issuers might sign. */
export function signNamed(signer: Signer, plan: LeafKey, names: LeafNames): SignedLeaf {
  const serialBytes = randomBytes(16);
  const algorithm = signatureAlgorithm(signer.key);
  const info = sequence(
    version3,
    integer(serialBytes),
    algorithm.der,
    signer.subject,
    sequence(time(plan.notBeforeMs), time(plan.notAfterMs)),
    names.subject,
    plan.publicKeyInfo,
    context(3, sequence(...commonExtensions, keyIdOf(signer), ...alternativeNames(names))),
  );
  const signature = sign(algorithm.hash, info, { key: signer.key, dsaEncoding: 'der' });
  return {
    pem: toPem('CERTIFICATE', sequence(info, algorithm.der, bitString(signature))),
    serial: serialBytes.toString('hex'),
  };
}

interface SignatureAlgorithm {
  readonly hash: string;
  readonly der: Buffer;
}

const ecdsaSha256 = { hash: 'sha256', der: sequence(oid('1.2.840.10045.4.3.2')) };
const ecdsaSha384 = { hash: 'sha384', der: sequence(oid('1.2.840.10045.4.3.3')) };
const rsaSha256 = {
  hash: 'sha256',
  der: sequence(oid('1.2.840.113549.1.1.11'), element(tags.null)),
};

const truth = element(tags.boolean, Buffer.from([0xff]));
const version3 = context(0, integer(Buffer.from([2])));
const emptySubject = sequence();
/** digitalSignature alone: bit 0, seven bits unused. */
const keyUsage = sequence(
  oid('2.5.29.15'),
  truth,
  octetString(element(tags.bitString, Buffer.from([7, 0x80]))),
);
const extendedKeyUsage = sequence(
  oid('2.5.29.37'),
  octetString(sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
);
const noCa = sequence(oid('2.5.29.19'), truth, octetString(sequence()));
const commonExtensions = [keyUsage, extendedKeyUsage, noCa];
const authorityKeyId = oid('2.5.29.35');
const subjectAltName = oid('2.5.29.17');

function signatureAlgorithm(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return rsaSha256;
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? ecdsaSha384 : ecdsaSha256;
}

function keyIdOf(signer: Signer): Buffer {
  return sequence(authorityKeyId, octetString(sequence(contextBytes(0, signer.keyId))));
}

/** Critical where the subject is empty (RFC 5280 section 4.2.1.6). */
function alternativeNames({ subject, alternative }: LeafNames): Buffer[] {
  if (alternative.length === 0) return [];
  const critical = subject.equals(emptySubject) ? [truth] : [];
  return [sequence(subjectAltName, ...critical, octetString(sequence(...alternative)))];
}

/** A GeneralName (RFC 5280 section 4.2.1.6). */
export function uriName(uri: string): Buffer {
  return contextBytes(6, Buffer.from(uri, 'ascii'));
}

/** A GeneralName (RFC 5280 section 4.2.1.6). */
export function dnsName(name: string): Buffer {
  return contextBytes(2, Buffer.from(name, 'ascii'));
}

function ipBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [left = '', right] = address.split('::');
  const before = groups(left);
  const after = groups(right);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const hex = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join('');
  return Buffer.from(hex, 'hex');
}

function groups(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(':');
}
