// The only file that knows jose: a JSON Web Key Set, and signatures checked against it.
import type { CryptoKey } from 'jose';

import type { TokenProblem } from './problems.ts';
import { decodeBase64url, type ParsedToken } from './token.ts';

/** What a signature is checked against. */
export interface KeySet {
  /**
   * '' when a key of the set made the signature. Never throws.
   * jose wants RSA keys of at least 2048 bits; weaker ones verify nothing.
   */
  verify(token: ParsedToken): Promise<TokenProblem | ''>;
}

/**
 * Reads a key set; keys of unknown kinds and broken keys are left out, as in Envoy.
 * @param text JSON as in RFC 7517; '' or anything else without a usable key verifies nothing
 */
export function readKeySet(text: string): KeySet {
  const keys: Key[] = [];
  for (const jwk of listKeys(text)) {
    const key = readKey(jwk);
    if (key !== null) keys.push(key);
  }
  return { verify: (token) => verify(keys, token) };
}

/** Public members only: `d`, `use` and `key_ops` play no part. */
type Material = Readonly<Record<string, string>> & { readonly kty: string };

interface Key {
  readonly id: string;
  /** The algorithms that may use the key. An RSA key verifies no HMAC, whatever a token says. */
  readonly algorithms: readonly string[];
  /** As declared; '' = any of `algorithms`. */
  readonly declared: string;
  readonly material: Material;
  /** By algorithm; imported when first needed. Null: jose cannot use it. */
  readonly imported: Map<string, Promise<CryptoKey | Uint8Array | null>>;
}

async function verify(keys: readonly Key[], token: ParsedToken): Promise<TokenProblem | ''> {
  if (keys.length === 0) return "Jwks doesn't have any valid public key";
  let candidates = false;
  for (const key of keys) {
    if (token.keyId !== '' && key.id !== '' && key.id !== token.keyId) continue;
    if (key.declared !== '' && key.declared !== token.algorithm) continue;
    candidates = true;
    if (!key.algorithms.includes(token.algorithm)) continue;
    if (token.algorithm === 'EdDSA' && token.signatureBytes !== 64) {
      return 'Jwt ED25519 signature is wrong length';
    }
    if (await verifyWith(key, token)) return '';
  }
  return candidates
    ? 'Jwt verification fails'
    : "Jwks doesn't have key to match kid or alg from Jwt";
}

async function verifyWith(key: Key, token: ParsedToken): Promise<boolean> {
  const imported = await importKey(key, token.algorithm);
  if (imported === null) return false;
  const { header, payload, signature, algorithm } = token;
  try {
    const { flattenedVerify } = await import('jose/jws/flattened/verify');
    const parts = { protected: header, payload, signature };
    await flattenedVerify(parts, imported, { algorithms: [algorithm] });
    return true;
  } catch {
    // jose throws for every signature that does not fit; the reason is the sender's business.
    return false;
  }
}

function importKey(key: Key, algorithm: string): Promise<CryptoKey | Uint8Array | null> {
  let imported = key.imported.get(algorithm);
  if (imported === undefined) {
    imported = import('jose/key/import')
      .then(({ importJWK }) => importJWK(key.material, algorithm))
      .catch(() => null);
    key.imported.set(algorithm, imported);
  }
  return imported;
}

function listKeys(text: string): readonly unknown[] {
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set !== 'object' || set === null || !('keys' in set)) return [];
    return Array.isArray(set.keys) ? set.keys : [];
  } catch {
    return [];
  }
}

function readKey(jwk: unknown): Key | null {
  if (typeof jwk !== 'object' || jwk === null) return null;
  const members = jwk as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    return typeof value === 'string' ? value : '';
  };
  const shape = shapeOf(text);
  if (shape === null) return null;
  const declared = text('alg');
  if (declared !== '' && !shape.algorithms.includes(declared)) return null;
  return { id: text('kid'), declared, ...shape, imported: new Map() };
}

const curves: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
};
const curveOf: Readonly<Record<string, string>> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
};

function shapeOf(text: (name: string) => string): Pick<Key, 'algorithms' | 'material'> | null {
  switch (text('kty')) {
    case 'RSA': {
      const [n, e] = [text('n'), text('e')];
      if (!isBase64url(n) || !isUsualExponent(e)) return null;
      const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
      return { algorithms, material: { kty: 'RSA', n, e } };
    }
    case 'EC': {
      // Envoy: without `crv` the algorithm says which curve, and without both it is P-256.
      const crv = text('crv') || (curveOf[text('alg')] ?? 'P-256');
      const algorithm = Object.hasOwn(curves, crv) ? curves[crv] : undefined;
      const [x, y] = [text('x'), text('y')];
      if (algorithm === undefined || !isBase64url(x) || !isBase64url(y)) return null;
      return { algorithms: [algorithm], material: { kty: 'EC', crv, x, y } };
    }
    case 'OKP': {
      const x = text('x');
      if (text('crv') !== 'Ed25519' || decodeBase64url(x)?.length !== 32) return null;
      return { algorithms: ['EdDSA'], material: { kty: 'OKP', crv: 'Ed25519', x } };
    }
    case 'oct': {
      const k = text('k');
      if (!isBase64url(k)) return null;
      return { algorithms: ['HS256', 'HS384', 'HS512'], material: { kty: 'oct', k } };
    }
    default:
      return null;
  }
}

function isBase64url(text: string): boolean {
  const bytes = decodeBase64url(text);
  return bytes !== null && bytes.length > 0;
}

/** 3 and 65537 are what Envoy takes; others make a key slow to verify with, or weak. */
function isUsualExponent(text: string): boolean {
  const hex = decodeBase64url(text)?.toString('hex').replace(/^0+/, '');
  return hex === '3' || hex === '10001';
}
