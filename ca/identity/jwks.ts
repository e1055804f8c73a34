// Tokens proven by a JSON Web Key Set in a file: the local mesh, or a cluster's published keys.
import { readFile, stat } from 'node:fs/promises';
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import { Refusal } from '../refusal.ts';
import { parseSubject, type Authenticator, type ProvenIdentity } from './authenticator.ts';

export interface JwksOptions {
  readonly file: string;
  /** `iss` that is wanted. */
  readonly issuer: string;
  /** `aud` that is wanted. */
  readonly audience: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Only signatures by a private key: with HS256 anybody who reads the public key could sign (RFC 8725 section 2.1). */
const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'EdDSA'];
const clockToleranceSeconds = 10;
/** How often the file is looked at, at most. */
const lookEveryMs = 1000;

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** Reads the file once, and rejects when it is not a key set. */
export async function createJwksAuthenticator(options: JwksOptions): Promise<Authenticator> {
  const authenticator = new JwksAuthenticator(options);
  await authenticator.load();
  return authenticator;
}

class JwksAuthenticator implements Authenticator {
  readonly #options: JwksOptions;
  #keys: KeySet | null = null;
  #version = '';
  #lookedAtMs = 0;

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    const { file, clock } = this.#options;
    this.#lookedAtMs = clock.now();
    const { mtimeMs, size } = await stat(file);
    const version = `${mtimeMs} ${size}`;
    if (version === this.#version) return;
    // Taken first: a broken file is reported once, not for each call.
    this.#version = version;
    this.#keys = parseKeySet(await readFile(file, 'utf8'), file);
  }

  async authenticate(bearer: string): Promise<ProvenIdentity> {
    const { issuer, audience, clock } = this.#options;
    await this.#lookAgain();
    if (this.#keys === null) throw new Refusal('keys-unavailable', 'no keys to check tokens with');
    let payload: JWTPayload;
    try {
      const verified = await jwtVerify(bearer, this.#keys, {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp', 'sub'],
      });
      payload = verified.payload;
    } catch (error) {
      throw toRefusal(error, this.#options);
    }
    return { ...parseSubject(payload.sub ?? ''), pod: '', podUid: '' };
  }

  /** A file that broke or went away leaves the keys that were good. */
  async #lookAgain(): Promise<void> {
    if (this.#options.clock.now() - this.#lookedAtMs < lookEveryMs) return;
    try {
      await this.load();
    } catch (error) {
      this.#options.log.error({ error }, 'token keys not reloaded; keeping the present ones');
    }
  }
}

function parseKeySet(text: string, file: string): KeySet {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON`, { cause: error });
  }
  const keys = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new Error(`${file} is not a JSON Web Key Set: {"keys": [...]} with a key is wanted`);
  }
  return createLocalJWKSet(set as JSONWebKeySet);
}

function toRefusal(error: unknown, options: JwksOptions): Refusal {
  if (error instanceof errors.JWTExpired) return new Refusal('token-expired', 'the token expired');
  if (error instanceof errors.JWTClaimValidationFailed) return fromClaim(error, options);
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return new Refusal('token-algorithm', `the token must be signed with ${algorithms.join(', ')}`);
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return new Refusal('token-signature', 'the token is not signed by a key of this CA');
  }
  return new Refusal('token-malformed', 'the token is not a signed JSON Web Token');
}

function fromClaim(error: errors.JWTClaimValidationFailed, options: JwksOptions): Refusal {
  const { issuer, audience } = options;
  if (error.claim === 'aud') {
    return new Refusal('token-audience', `the token must be for the audience ${audience}`);
  }
  if (error.claim === 'iss') {
    return new Refusal('token-issuer', `the token must be issued by ${issuer}`);
  }
  if (error.claim === 'nbf') return new Refusal('token-early', 'the token is not valid yet');
  return new Refusal('token-malformed', `the token's claim ${error.claim} is missing or wrong`);
}
