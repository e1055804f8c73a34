// What a token says of itself, unproven: read only to refuse it early, never to believe it.
import { Refusal } from '../refusal.ts';

/** The kubelet's tokens have about 1 kB. */
const tokenBytesMax = 16 * 1024;
const jwt = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** The API server allows none, but its clock may be behind ours. */
const clockToleranceMs = 10_000;

/**
 * Refuses what the API server would refuse too, with a clearer reason and without asking it: whoever floods us with
 * nonsense must not flood the API server through us. Throws Refusal.
 */
export function refuseHopeless(bearer: string, audience: string, nowMs: number): void {
  if (bearer.length > tokenBytesMax || !jwt.test(bearer)) throw malformed();
  const { aud, exp } = readClaims(bearer);
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(audience)) {
    throw new Refusal('token-audience', `the token must be for the audience ${audience}`);
  }
  if (typeof exp !== 'number') throw malformed();
  if (exp * 1000 + clockToleranceMs <= nowMs) {
    throw new Refusal('token-expired', 'the token expired');
  }
}

function readClaims(bearer: string): { aud?: unknown; exp?: unknown } {
  try {
    const text = Buffer.from(bearer.split('.')[1] ?? '', 'base64url').toString('utf8');
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null) return claims;
  } catch {
    // The parser's own message would quote the token.
  }
  throw malformed();
}

function malformed(): Refusal {
  return new Refusal('token-malformed', 'the token is not a signed JSON Web Token');
}
