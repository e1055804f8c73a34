// Reads a compact token (RFC 7519) as strictly as Envoy does, and no stricter, without verifying it.
import { isUtf8 } from 'node:buffer';

import type { TokenProblem } from './problems.ts';

/** Algorithms that may sign; `none` is not one of them. */
const algorithms = new Set([
  'ES256',
  'ES384',
  'ES512',
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
]);

const uint64Limit = 2 ** 64;

export interface ParsedToken {
  /** The three sections as sent. */
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  readonly signatureBytes: number;
  readonly algorithm: string;
  /** '' when the header names no key. */
  readonly keyId: string;
  /** The header asks for extensions that nobody here knows (RFC 7515, section 4.1.11). */
  readonly critical: boolean;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Seconds since 1970; 0: none, as in Envoy. */
  readonly notBefore: number;
  readonly expiry: number;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Parses a token; answers what is wrong with it when it is not one. Never throws. */
export function parseToken(text: string): ParsedToken | TokenProblem {
  const sections = text.split('.').filter((section) => section !== '');
  const [header, payload, signature] = sections;
  if (
    header === undefined ||
    payload === undefined ||
    signature === undefined ||
    sections.length > 3
  ) {
    return 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
  }
  const head = parseHeader(header);
  if (typeof head === 'string') return head;
  const bytes = decodeBase64url(payload);
  if (bytes === null) return 'Jwt payload is an invalid Base64url encoded';
  const claims = parseObject(bytes);
  if (claims === null) return 'Jwt payload is an invalid JSON';
  const body = parseClaims(claims);
  if (typeof body === 'string') return body;
  const signed = decodeBase64url(signature);
  if (signed === null) return 'Jwt signature is an invalid Base64url encoded';
  return { header, payload, signature, signatureBytes: signed.length, ...head, ...body, claims };
}

/** Whether `now` (seconds since 1970) lies in the token's life, with 60 s for clocks that differ. */
export function checkLife(
  token: { readonly notBefore: number; readonly expiry: number },
  now: number,
): TokenProblem | '' {
  if (now + leewaySeconds < token.notBefore) return 'Jwt not yet valid';
  if (token.expiry !== 0 && now > token.expiry + leewaySeconds) return 'Jwt is expired';
  return '';
}

const leewaySeconds = 60;

/**
 * Decodes base64url; blanks are skipped and padding is optional but must be right, as in Envoy.
 * Null when it is something else.
 */
export function decodeBase64url(text: string): Buffer | null {
  const dense = blank.test(text) ? text.replace(allBlanks, '') : text;
  const match = base64url.exec(dense);
  if (match === null) return null;
  const [, digits = '', padding = ''] = match;
  const left = digits.length % 4;
  if (left === 1) return null;
  if (padding !== '' && (left + padding.length !== 4 || left === 0)) return null;
  return Buffer.from(digits, 'base64url');
}

const blank = /[\t-\r ]/;
const allBlanks = /[\t-\r ]+/g;
const base64url = /^([\w-]*)(={0,2})$/;

type Head = Pick<ParsedToken, 'algorithm' | 'keyId' | 'critical'>;

function parseHeader(section: string): Head | TokenProblem {
  const bytes = decodeBase64url(section);
  if (bytes === null) return 'Jwt header is an invalid Base64url encoded';
  const header = parseObject(bytes);
  if (header === null) return 'Jwt header is an invalid JSON';
  const { alg, kid = '', crit } = header;
  if (typeof alg !== 'string') return 'Jwt header [alg] field is required and must be a string';
  if (!algorithms.has(alg)) return 'Jwt header [alg] is not supported';
  if (typeof kid !== 'string') return 'Jwt header [kid] field is not a string';
  return { algorithm: alg, keyId: kid, critical: crit !== undefined };
}

type Body = Pick<ParsedToken, 'issuer' | 'subject' | 'audiences' | 'notBefore' | 'expiry'>;

function parseClaims(claims: Readonly<Record<string, unknown>>): Body | TokenProblem {
  const { iss = '', sub = '', jti = '' } = claims;
  if (typeof iss !== 'string') return 'Jwt payload [iss] field is not a string';
  if (typeof sub !== 'string') return 'Jwt payload [sub] field is not a string';
  const issued = readSeconds(claims, 'iat');
  if (typeof issued === 'string') return issued;
  const notBefore = readSeconds(claims, 'nbf');
  if (typeof notBefore === 'string') return notBefore;
  const expiry = readSeconds(claims, 'exp');
  if (typeof expiry === 'string') return expiry;
  if (typeof jti !== 'string') return 'Jwt payload [jti] field is not a string';
  const audiences = readAudiences(claims['aud']);
  if (audiences === null) return 'Jwt payload [aud] field is not a string or string list';
  return { issuer: iss, subject: sub, audiences, notBefore, expiry };
}

function readSeconds(
  claims: Readonly<Record<string, unknown>>,
  name: 'iat' | 'nbf' | 'exp',
): number | TokenProblem {
  const value = claims[name];
  if (value === undefined) return 0;
  if (typeof value !== 'number') return `Jwt payload [${name}] field is not an integer`;
  if (value < 0 || value >= uint64Limit) {
    return `Jwt payload [${name}] field is not a positive 64 bit integer`;
  }
  return Math.trunc(value);
}

function readAudiences(aud: unknown): readonly string[] | null {
  if (aud === undefined) return [];
  if (typeof aud === 'string') return [aud];
  if (!Array.isArray(aud)) return null;
  const list: readonly unknown[] = aud;
  return list.every((one) => typeof one === 'string') ? list : null;
}

/** Null unless the bytes are the JSON text of an object. Names like `__proto__` are mere names. */
function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> | null {
  if (!isUtf8(bytes)) return null;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.assign(Object.create(null) as Record<string, unknown>, value);
  } catch {
    return null;
  }
}
