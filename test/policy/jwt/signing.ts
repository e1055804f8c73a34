// Keys and tokens for tests, made by node:crypto and not by the library under test.
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

import type { JwtRule } from '#api/kinds/request-authentication.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import type { RequestFacts } from '#policy/facts.ts';

export interface TestKey {
  readonly privateKey: KeyObject;
  /** The public key as a JWK, without kid and alg. */
  readonly jwk: Record<string, unknown>;
}

export function rsaKey(bits = 2048): TestKey {
  return testKey(generateKeyPairSync('rsa', { modulusLength: bits }));
}

export function ecKey(curve: 'P-256' | 'P-384' | 'P-521'): TestKey {
  return testKey(generateKeyPairSync('ec', { namedCurve: curve }));
}

export function edKey(): TestKey {
  return testKey(generateKeyPairSync('ed25519'));
}

function testKey(pair: { privateKey: KeyObject; publicKey: KeyObject }): TestKey {
  return { privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }) } };
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  );
}

/** Signs; the header may say anything. */
export function makeToken(
  claims: unknown,
  key: TestKey | { readonly secret: string | Buffer },
  header: Record<string, unknown>,
): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const algorithm = typeof header['alg'] === 'string' ? header['alg'] : 'RS256';
  return `${input}.${signature(input, key, algorithm).toString('base64url')}`;
}

function signature(
  input: string,
  key: TestKey | { readonly secret: string | Buffer },
  algorithm: string,
): Buffer {
  const hash = `sha${algorithm.slice(2)}`;
  if ('secret' in key) return createHmac(hash, key.secret).update(input).digest();
  const data = Buffer.from(input);
  if (algorithm === 'EdDSA') return sign(null, data, key.privateKey);
  if (algorithm.startsWith('ES')) {
    return sign(hash, data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  }
  if (algorithm.startsWith('PS')) {
    return sign(hash, data, { key: key.privateKey, padding: 6, saltLength: -1 });
  }
  return sign(hash, data, key.privateKey);
}

/** A RequestAuthentication of these rules. */
export function authentication(...rules: Partial<JwtRule>[]): RequestAuthentication {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'r', namespace: 'foo', labels: {}, annotations: {} },
    spec: {
      jwtRules: rules.map((rule) => ({
        issuer: 'iss',
        forwardOriginalToken: false,
        timeout: '5s',
        ...rule,
      })),
    },
  };
}

export function keySet(...keys: Record<string, unknown>[]): string {
  return JSON.stringify({ keys });
}

export function request(
  options: {
    method?: string;
    path?: string;
    headers?: readonly (readonly [string, string])[];
  } = {},
): RequestFacts {
  const headers = options.headers ?? [];
  return {
    method: options.method ?? 'GET',
    path: options.path ?? '/',
    authority: 'srv.foo',
    scheme: 'https',
    token: null,
    values: (name) => headers.filter(([n]) => n === name).map(([, value]) => value),
  };
}

export function bearer(token: string): RequestFacts {
  return request({ headers: [['authorization', `Bearer ${token}`]] });
}
