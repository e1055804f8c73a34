// What a request is counted by: each part of a key becomes a text, empty where the request lacks it.
import type { LimitKey } from '#api/kinds/rate-limit.ts';
import { paths, headerLines, pathEnd } from '#policy/conditions/request.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';
import { claimAt, readClaimPath } from '#policy/match/claims.ts';
import { plainPeerIp } from '#policy/match/ip.ts';
import { lowerAscii } from '#policy/match/text.ts';

/** @param consumer whom an API key has made known; '': nobody */
export type KeyPart = (
  connection: ConnectionFacts,
  request: RequestFacts,
  consumer: string,
) => string;

/** Compiled once for each snapshot. */
export function compileKeyPart(key: LimitKey): KeyPart {
  const { from, name = '', query, depth = 0, templates = [] } = key;
  switch (from) {
    case 'identity':
      return (c) => c.identities[0] ?? '';
    case 'namespace':
      return namespacePart();
    case 'header':
      return headerPart(name);
    case 'cookie':
      return cookiePart(name);
    case 'claim':
      return claimPart(name);
    case 'apiKey':
      return apiKeyPart(query === undefined ? headerPart(name || 'x-api-key') : queryPart(query));
    case 'remoteAddress':
      return depth === 0 ? (c) => plainPeerIp(c.sourceIp) : forwardedPart(depth);
    case 'path':
      return (_, r) => r.path.slice(0, pathEnd(r.path));
    case 'pathTemplate':
      return templatePart(templates);
    case 'method':
      return (_, r) => r.method;
    default:
      return (_, r) => lowerAscii(r.authority);
  }
}

/** Who was made known by a key may have several, and the key itself may be hidden by now. */
function apiKeyPart(key: KeyPart): KeyPart {
  return (c, r, consumer) => consumer || key(c, r, consumer);
}

/** Of the peer's SPIFFE ID; the last one is remembered, since a connection has but one. */
function namespacePart(): KeyPart {
  let known = '';
  let namespace = '';
  return (c) => {
    const identity = c.identities[0] ?? '';
    if (identity !== known) {
      known = identity;
      namespace = /\/ns\/([^/]+)\//.exec(identity)?.[1] ?? '';
    }
    return namespace;
  };
}

/** All lines count: with the first alone a caller could hide the one that the application reads. */
function headerPart(name: string): KeyPart {
  const lower = lowerAscii(name);
  return (_, r) => {
    const lines = headerLines(r, lower);
    return lines.length <= 1 ? (lines[0] ?? '') : lines.join(',');
  };
}

function cookiePart(name: string): KeyPart {
  return (_, r) => {
    let found = '';
    for (const line of r.values('cookie')) {
      for (const pair of line.split(';')) {
        const equals = pair.indexOf('=');
        if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
        found += pair.slice(equals + 1).trim();
      }
    }
    return found;
  };
}

function claimPart(name: string): KeyPart {
  const path = (name.startsWith('[') ? readClaimPath(name) : null) ?? [name];
  return (_, { token }) => {
    const claim = token === null ? undefined : claimAt(token.payload, path);
    if (claim === undefined || claim === null) return '';
    return typeof claim === 'string' ? claim : JSON.stringify(claim);
  };
}

/** Decoded, or each spelling of a key would have a count of its own. */
function queryPart(name: string): KeyPart {
  return (_, r) => {
    const query = r.path.slice(pathEnd(r.path) + 1);
    return query.includes('=') ? new URLSearchParams(query).getAll(name).join(',') : '';
  };
}

/** Counted from the end, which the nearest proxy wrote; the TCP peer where there are not so many. */
function forwardedPart(depth: number): KeyPart {
  return (c, r) => {
    const lines = r.values('x-forwarded-for');
    const all = lines.length === 1 ? (lines[0] ?? '') : lines.join(',');
    let end = all.length;
    for (let left = depth - 1; left > 0 && end > 0; left--) end = all.lastIndexOf(',', end - 1);
    if (end <= 0) return plainPeerIp(c.sourceIp);
    const address = all.slice(all.lastIndexOf(',', end - 1) + 1, end).trim();
    return address === '' ? plainPeerIp(c.sourceIp) : plainPeerIp(address);
  };
}

/** Paths that no template matches are one path. */
function templatePart(templates: readonly string[]): KeyPart {
  const compiled = templates.map((text) => ({ text, matches: paths.build([text]).any }));
  return (c, r) => {
    for (const { text, matches } of compiled) if (matches?.(c, r) === true) return text;
    return '';
  };
}
