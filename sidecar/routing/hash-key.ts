// What a call is hashed for, so that one caller stays with one endpoint or with one share of a split.
import type { HashKey } from '#api/traffic/destination.ts';
import type { StickyKey } from '#api/traffic/route.ts';

import type { RequestView } from '../exchange.ts';
import { cookieValue, queryValue } from './query.ts';

/** Gives a whole number of 32 bits. */
export type HashText = (text: string) => number;

/** The hash of a call's key; null when the call has none. */
export function hashOf(
  key: HashKey | StickyKey,
  request: RequestView,
  sourceAddress: string,
  hashText: HashText,
): number | null {
  const text = keyText(key, request, sourceAddress);
  return text === null || text === '' ? null : hashText(text);
}

function keyText(
  key: HashKey | StickyKey,
  request: RequestView,
  sourceAddress: string,
): string | null {
  switch (key.kind) {
    case 'header': {
      const values = request.values(key.name);
      // The order of its lines must not matter, as in Envoy.
      return values.length > 1 ? values.toSorted().join(',') : (values[0] ?? null);
    }
    case 'cookie':
      return cookieValue(request, key.name);
    case 'query':
      return queryValue(request.path, key.name);
    default:
      return sourceAddress;
  }
}

/** The `set-cookie` that makes a caller stay, for a call that came without the cookie of its key. */
export function stickyCookie(key: Extract<HashKey, { kind: 'cookie' }>, value: string): string {
  const { name, path = '', ttlS = 0, attributes = {} } = key;
  const parts = [`${name}="${value}"`];
  if (ttlS > 0) parts.push(`Max-Age=${ttlS}`);
  if (path !== '') parts.push(`Path=${path}`);
  for (const [attribute, text] of Object.entries(attributes)) {
    parts.push(text === '' ? attribute : `${attribute}=${text}`);
  }
  return [...parts, 'HttpOnly'].join('; ');
}
