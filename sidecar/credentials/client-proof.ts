// How the client of a token endpoint proves itself: a secret of a file, or an assertion that jose signs (RFC 7523).
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { TokenExchangeSpec } from '#api/kinds/token-exchange.ts';

/** One use, at once. */
const assertionSeconds = 60;

/** '' where none is needed. Files are read each time: whoever changes a secret need tell nobody. */
export async function proofOf({ client, tokenEndpoint }: TokenExchangeSpec): Promise<string> {
  if (client === undefined || client.method === 'none') return '';
  if (client.method !== 'private_key_jwt') {
    return (await readFile(client.secretFile ?? '', 'utf8')).replace(/[\r\n]+$/, '');
  }
  const pem = await readFile(client.keyFile ?? '', 'utf8');
  const [{ importPKCS8 }, { SignJWT }] = await Promise.all([
    import('jose/key/import'),
    import('jose/jwt/sign'),
  ]);
  const { id, algorithm, keyId } = client;
  const key = await importPKCS8(pem, algorithm);
  return new SignJWT()
    .setProtectedHeader({ alg: algorithm, ...(keyId !== undefined && { kid: keyId }) })
    .setIssuer(id)
    .setSubject(id)
    .setAudience(tokenEndpoint)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + assertionSeconds)
    .sign(key);
}

/** When a token says that it ends, as a JSON web token does; Infinity: it does not say. Nothing is verified. */
export async function endOf(token: string): Promise<number> {
  // Two dots: a JWS. An opaque token costs no library.
  if (token.split('.').length !== 3) return Number.POSITIVE_INFINITY;
  const { decodeJwt } = await import('jose/jwt/decode');
  try {
    const { exp } = decodeJwt(token);
    return exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
