// Sessions of Gateway API's routes (GEP-1619): which endpoint a caller stays with is written in a cookie or header of its own.
import type { SessionPersistence } from '#api/traffic/route.ts';

import type { RequestView, ResponseView } from '../exchange.ts';
import { cookieValue } from './query.ts';

/** What a caller brings back. Nothing in it is believed: it only names one of the endpoints that the route leads to. */
export interface SessionToken {
  readonly createdS: number;
  readonly usedS: number;
  readonly host: string;
  /** As the route says it: 0 where it says none. */
  readonly port: number;
  /** `address:port` of the endpoint. */
  readonly address: string;
}

/** Null: the caller brought none, or one that has ended. */
export function sessionOf(
  { kind, name, idleS = 0, absoluteS = 0 }: SessionPersistence,
  request: RequestView,
  nowS: number,
): SessionToken | null {
  const text = kind === 'cookie' ? cookieValue(request, name) : (request.values(name)[0] ?? null);
  const token = text === null ? null : readToken(text);
  if (token === null) return null;
  if (idleS > 0 && nowS - token.usedS >= idleS) return null;
  return absoluteS > 0 && nowS - token.createdS >= absoluteS ? null : token;
}

/** Tells the caller, for its next calls. */
export function tellSession(
  { kind, name, absoluteS = 0, permanent = false }: SessionPersistence,
  token: SessionToken,
  response: ResponseView,
): void {
  const text = writeToken(token);
  if (kind === 'header') {
    response.remove(name);
    response.append(name, text);
    return;
  }
  const leftS = token.createdS + absoluteS - token.usedS;
  const age = permanent && absoluteS > 0 ? `; Max-Age=${Math.max(0, leftS)}` : '';
  response.append('set-cookie', `${name}=${text}${age}; Path=/; HttpOnly`);
}

export function writeToken({ createdS, usedS, host, port, address }: SessionToken): string {
  return Buffer.from(JSON.stringify([createdS, usedS, host, port, address])).toString('base64url');
}

/** Null: it is none. */
export function readToken(text: string): SessionToken | null {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return null;
  }
  if (!Array.isArray(parts)) return null;
  const [createdS, usedS, host, port, address] = parts as unknown[];
  const isToken =
    Number.isSafeInteger(createdS) &&
    Number.isSafeInteger(usedS) &&
    typeof host === 'string' &&
    typeof port === 'number' &&
    typeof address === 'string';
  if (!isToken) return null;
  return { createdS: createdS as number, usedS: usedS as number, host, port, address };
}
