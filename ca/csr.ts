// A certificate request (PKCS#10, RFC 2986): parsed strictly, its key weighed, its own signature checked.
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { csrBytesMax } from '#api/signing.ts';
import { tags } from '#runtime/tls/der.ts';
import { DerError, DerReader, readOid } from './der-reader.ts';
import { readRequestedNames, type RequestedNames } from './csr-names.ts';
import { Refusal } from './refusal.ts';

export interface ParsedCsr {
  /** SubjectPublicKeyInfo, DER: what the certificate carries. */
  readonly publicKeyInfo: Buffer;
  readonly requested: RequestedNames;
}

const curves: Readonly<Record<string, string>> = {
  '1.2.840.10045.3.1.7': 'P-256',
  '1.3.132.0.34': 'P-384',
};
const ecKey = '1.2.840.10045.2.1';
const rsaKey = '1.2.840.113549.1.1.1';
const signatureHashes: Readonly<Record<string, { key: string; hash: string }>> = {
  '1.2.840.10045.4.3.2': { key: ecKey, hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: ecKey, hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: ecKey, hash: 'sha512' },
  '1.2.840.113549.1.1.11': { key: rsaKey, hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: rsaKey, hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: rsaKey, hash: 'sha512' },
};
const rsaBitsMin = 2048;
/** Verification costs with the square of the modulus. */
const rsaBitsMax = 4096;

/** Parses and checks a request. Throws Refusal: `csr-malformed`, `csr-too-large`, `csr-key-*`, `csr-signature-*`. */
export function parseCsr(pem: string): ParsedCsr {
  if (pem.length > csrBytesMax) {
    throw new Refusal('csr-too-large', `a certificate request has at most ${csrBytesMax} bytes`);
  }
  try {
    return parseDer(readPem(pem));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new Refusal('csr-malformed', `the certificate request is not PKCS#10: ${error.message}`);
  }
}

function readPem(pem: string): Buffer {
  const match =
    /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1?CERTIFICATE REQUEST-----\s*$/.exec(
      pem,
    );
  if (match === null) throw new DerError('one PEM block "CERTIFICATE REQUEST" is wanted');
  return Buffer.from(match[2] ?? '', 'base64');
}

function parseDer(der: Buffer): ParsedCsr {
  const outer = new DerReader(der);
  const request = new DerReader(outer.take(tags.sequence).content);
  outer.end();
  const info = request.take(tags.sequence);
  const algorithm = new DerReader(request.take(tags.sequence).content);
  const signature = wholeBytes(request.take(tags.bitString).content);
  request.end();

  const fields = new DerReader(info.content);
  const version = fields.take(tags.integer).content;
  if (version.length !== 1 || version[0] !== 0) throw new DerError('version 1 is wanted');
  const subject = fields.take(tags.sequence).content;
  const publicKeyInfo = fields.take(tags.sequence);
  // RFC 2986 wants the attributes; some libraries leave an empty set out.
  const attributes = fields.atEnd ? Buffer.alloc(0) : fields.take(0xa0).content;
  fields.end();
  const requested = readRequestedNames(subject, attributes);

  const { key, kind } = weighKey(publicKeyInfo.content, publicKeyInfo.whole);
  checkSignature(algorithm, kind, key, info.whole, signature);
  return { publicKeyInfo: publicKeyInfo.whole, requested };
}

/** A key of a kind and size that every TLS peer of the mesh accepts; anything else never reaches OpenSSL. */
function weighKey(content: Buffer, whole: Buffer): { key: KeyObject; kind: string } {
  const info = new DerReader(content);
  const algorithm = new DerReader(info.take(tags.sequence).content);
  const bits = wholeBytes(info.take(tags.bitString).content);
  info.end();
  const kind = readOid(algorithm.take(tags.oid).content);
  if (kind === ecKey) weighCurve(algorithm);
  else if (kind === rsaKey) weighModulus(bits);
  else {
    // Ed25519 (1.3.101.112) too: BoringSSL, and with it every Envoy peer, refuses it in certificates.
    throw new Refusal(
      'csr-key-unsupported',
      `${keysWanted}; the request has a key of kind ${kind}`,
    );
  }
  try {
    return { key: createPublicKey({ key: whole, format: 'der', type: 'spki' }), kind };
  } catch {
    throw new DerError('its public key is no valid key');
  }
}

const keysWanted = 'the key must be ECDSA P-256 or P-384, or RSA from 2048 to 4096 bits';

function weighCurve(algorithm: DerReader): void {
  if (algorithm.nextTag !== tags.oid) {
    throw new Refusal('csr-key-unsupported', `${keysWanted}; the request has an unnamed curve`);
  }
  const curve = readOid(algorithm.take(tags.oid).content);
  algorithm.end();
  if (curves[curve] === undefined) {
    throw new Refusal('csr-key-unsupported', `${keysWanted}; the request has the curve ${curve}`);
  }
}

function weighModulus(bits: Buffer): void {
  const outer = new DerReader(bits);
  const key = new DerReader(outer.take(tags.sequence).content);
  outer.end();
  const modulus = positive(key.take(tags.integer).content);
  const exponent = positive(key.take(tags.integer).content);
  key.end();
  const size = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (size < rsaBitsMin) {
    throw new Refusal('csr-key-weak', `${keysWanted}; the request has RSA with ${size} bits`);
  }
  const odd = ((exponent.at(-1) ?? 0) & 1) === 1;
  const small = exponent.length === 1 && (exponent[0] ?? 0) < 3;
  if (small || !odd) throw new Refusal('csr-key-weak', 'the RSA exponent must be odd and above 1');
  // A large exponent makes each verification as dear as a signature.
  if (size > rsaBitsMax || exponent.length > 4) {
    throw new Refusal('csr-key-unsupported', `${keysWanted}, its exponent below 2^32`);
  }
}

function checkSignature(
  algorithm: DerReader,
  kind: string,
  key: KeyObject,
  signed: Buffer,
  signature: Buffer,
): void {
  const name = readOid(algorithm.take(tags.oid).content);
  const known = signatureHashes[name];
  if (known === undefined || known.key !== kind) {
    throw new Refusal(
      'csr-signature-unsupported',
      `the request must be signed by its own key with SHA-256, 384 or 512; it has ${name}`,
    );
  }
  if (!verify(known.hash, signed, key, signature)) {
    throw new Refusal('csr-signature-invalid', 'the request is not signed by the key it carries');
  }
}

/** A bit string of whole bytes. */
function wholeBytes(content: Buffer): Buffer {
  if (content.length < 2 || content[0] !== 0) throw new DerError('a bit string of odd bits');
  return content.subarray(1);
}

/** An integer above 0 without its sign byte. */
function positive(content: Buffer): Buffer {
  const [first = 0x80, second = 0] = content;
  const padded = first === 0 && content.length > 1;
  if ((first & 0x80) !== 0 || (padded && (second & 0x80) === 0) || content.equals(ZERO)) {
    throw new DerError('an integer that is negative, zero or not the shortest');
  }
  return padded ? content.subarray(1) : content;
}

const ZERO = Buffer.from([0]);
