// Tokens as a local mesh makes them: a key, its key set in a file, signed tokens of any shape.
import { writeFile } from 'node:fs/promises';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';

export interface TokenMaker {
  /** JSON of the key set. */
  readonly jwks: string;
  /** A good token, its claims replaced by those given. */
  make(claims?: JWTPayload): Promise<string>;
  /** The same claims without a signature. */
  makeUnsigned(claims?: JWTPayload): string;
  /** Signed by HMAC with the public key's text, as an attacker would. */
  makeWithPublicKeyAsSecret(claims?: JWTPayload): Promise<string>;
  writeJwks(file: string): Promise<void>;
}

export async function createTokenMaker(kid = 'test'): Promise<TokenMaker> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
  const jwks = JSON.stringify({ keys: [jwk] });
  return {
    jwks,
    make: (claims) =>
      new SignJWT(full(claims)).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey),
    makeUnsigned: (claims) => new UnsecuredJWT(full(claims)).encode(),
    makeWithPublicKeyAsSecret: (claims) =>
      new SignJWT(full(claims))
        .setProtectedHeader({ alg: 'HS256', kid })
        .sign(new TextEncoder().encode(JSON.stringify(jwk))),
    writeJwks: (file) => writeFile(file, jwks),
  };
}

function full(claims: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: 'selvage-local',
    aud: 'selvage-ca',
    sub: 'system:serviceaccount:shop:orders',
    iat: now,
    exp: now + 3600,
    ...claims,
  };
}
