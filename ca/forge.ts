// The one file on node-forge: a corporate issuer out of PKCS#12, and keys in PEM that OpenSSL no longer decrypts.
import forge from 'node-forge';
import { toPem } from '#runtime/tls/der.ts';

export interface KeyAndChain {
  readonly keyPem: string;
  /** In no particular order. */
  readonly certificatePems: readonly string[];
}

/** Opens a PKCS#12 file. Throws with a message for the operator: wrong password, no key, no certificate. */
export function readPkcs12(file: Buffer, password: string): KeyAndChain {
  const store = openStore(file, password);
  const bags = (name: string) => {
    const bagType = forge.pki.oids[name] ?? '';
    return store.getBags({ bagType })[bagType] ?? [];
  };
  const keys = [...bags('pkcs8ShroudedKeyBag'), ...bags('keyBag')];
  const [key, second] = keys;
  if (key === undefined) throw new Error('the PKCS#12 file has no private key');
  if (second !== undefined) throw new Error('the PKCS#12 file has more than one private key');
  // forge parses RSA itself and hands over the ASN.1 of every other kind, EC among them.
  const keyAsn1 = key.asn1 ?? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(key.key));
  const certificates = bags('certBag').map(
    (bag) => bag.asn1 ?? forge.pki.certificateToAsn1(bag.cert),
  );
  if (certificates.length === 0) throw new Error('the PKCS#12 file has no certificate');
  return {
    keyPem: toPem('PRIVATE KEY', toDer(keyAsn1)),
    certificatePems: certificates.map((asn1) => toPem('CERTIFICATE', toDer(asn1))),
  };
}

function openStore(file: Buffer, password: string): ReturnType<typeof forge.pkcs12.pkcs12FromAsn1> {
  try {
    return forge.pkcs12.pkcs12FromAsn1(fromDer(file), true, password);
  } catch (error) {
    // forge takes the same text for the checksum (UTF-16) and for PBES2 (bytes): they agree on ASCII alone.
    if (/^[\x20-\x7e]*$/.test(password)) throw error;
    const advice = 'its password has letters beyond ASCII: export it anew with another, or use PEM';
    throw new Error(`${error instanceof Error ? error.message : String(error)} (${advice})`, {
      cause: error,
    });
  }
}

/** Decrypts PKCS#8 ("ENCRYPTED PRIVATE KEY") with any of forge's ciphers, RC2 and single DES among them. */
export function decryptKey(pem: string, password: string): string {
  const body = /-----BEGIN ENCRYPTED PRIVATE KEY-----([^-]+)-----END/.exec(pem)?.[1];
  if (body === undefined) throw new Error('a PEM block "ENCRYPTED PRIVATE KEY" is wanted');
  const decrypted = forge.pki.decryptPrivateKeyInfo(fromDer(Buffer.from(body, 'base64')), password);
  if (decrypted === null) throw new Error('the password does not open the private key');
  return toPem('PRIVATE KEY', toDer(decrypted));
}

type Asn1 = ReturnType<typeof forge.asn1.fromDer>;

/** forge keeps bytes in strings, one character each. */
function fromDer(bytes: Buffer): Asn1 {
  return forge.asn1.fromDer(bytes.toString('latin1'));
}

function toDer(value: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(value).getBytes(), 'latin1');
}
