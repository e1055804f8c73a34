// One try of a call at one endpoint: what the endpoint's cluster hears of its begin and end.
import { randomBytes } from 'node:crypto';

import type { Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { hashOf } from '../routing/hash-key.ts';
import { hashText } from '../upstream/hash.ts';
import type { Member } from '../upstream/member.ts';
import { statusOf, type Outcome } from '../upstream/outcome.ts';
import { OutboundConnection } from './connection.ts';
import { chooseBut, noteMember, poolOf, type Destination } from './destination.ts';
import type { OriginalDestination } from './original-destination.ts';
import { splitAuthority } from './routes.ts';

type ToService = Extract<Destination, { kind: 'service' }>;

/** The connection did not open, or time ran out before an answer. */
const localFaults: ReadonlySet<FailureCode> = new Set([
  'upstream-connect',
  'upstream-tls',
  'connect-timeout',
  'upstream-timeout',
]);
const resets: ReadonlySet<FailureCode> = new Set([
  'upstream-reset',
  'upstream-stream-reset',
  'upstream-refused',
  'upstream-malformed',
]);

/** The pool of the endpoint for the next try; a failure when none may be called. */
export function firstTry(x: Exchange, to: ToService): UpstreamPool | Failure {
  const refusal = to.cluster.admit();
  if (refusal !== null) return refusal;
  const kept = x.session?.token == null ? null : to.cluster.kept(x.session.token.address);
  const member =
    kept === null
      ? chooseBut(x, to.cluster, x.tried, hashFor(x, to), () => calledOf(x, to))
      : noteMember(x, kept);
  return member === null ? failures['endpoint-missing'] : begin(x, member, to);
}

/**
 * After a try that came to nothing: another endpoint, or where all were tried, any once more.
 * @param avoid endpoints that failed are asked last
 */
export function nextTry(x: Exchange, to: ToService, avoid: boolean): UpstreamPool | null {
  const last = x.member;
  if (last === null) return null;
  const { cluster } = to;
  if (!cluster.beginRetry()) {
    x.retriesSpent = true;
    return null;
  }
  x.retrying = true;
  x.tried = [...x.tried, last];
  const hash = hashFor(x, to);
  const called = (): OriginalDestination => calledOf(x, to);
  const but = (members: readonly Member[]): Member | null =>
    chooseBut(x, cluster, members, hash, called);
  const any = (avoid ? (but(x.tried) ?? but([last])) : null) ?? but([]);
  if (any !== null) return begin(x, any, to);
  endRetry(x, to);
  return null;
}

function endRetry(x: Exchange, { cluster }: ToService): void {
  if (x.retrying) cluster.endRetry();
  x.retrying = false;
}

/** Where the caller meant to go. */
function calledOf(x: Exchange, { route }: ToService): OriginalDestination {
  const original = x.downstream instanceof OutboundConnection ? x.downstream.original : null;
  if (original !== null) return original;
  const host = splitAuthority(x.request.authority)?.host ?? x.request.authority;
  return { host, port: route.port.port };
}

function begin(x: Exchange, member: Member, to: ToService): UpstreamPool {
  member.begin();
  x.trying = true;
  return poolOf(x, member, to);
}

/** The try is over. @param code why it failed; null: it was answered. @param status of the answer; 0: none */
export function endTry(x: Exchange, code: FailureCode | null, status: number): void {
  const { member } = x;
  if (!x.trying || member === null) return;
  x.trying = false;
  if (x.to?.kind === 'service') endRetry(x, x.to);
  const until = x.respondedAtMs > x.forwardedAtMs ? x.respondedAtMs : performance.now();
  const latencyMs = x.forwardedAtMs === 0 ? 0 : until - x.forwardedAtMs;
  const fault = code === null ? 'none' : faultOf(code);
  member.end({ status: fault === 'local' ? 0 : statusOf(status, x.grpcStatus), fault, latencyMs });
}

/** What a failure says of the endpoint; `none`: it was our own doing, or the caller's. */
export function faultOf(code: FailureCode): Outcome['fault'] {
  if (localFaults.has(code)) return 'local';
  return resets.has(code) ? 'reset' : 'none';
}

function hashFor(x: Exchange, { cluster }: ToService): number | null {
  const key = cluster.hashKey;
  if (key === null) return null;
  const hash = hashOf(key, x.request, x.downstream.remoteAddress, hashText);
  if (hash !== null || key.kind !== 'cookie' || key.ttlS === undefined) return hash;
  // As Envoy: a caller without the cookie gets one, and stays from its first call on.
  const value = x.stickyCookie === '' ? randomBytes(8).toString('hex') : x.stickyCookie;
  x.stickyCookie = value;
  return hashText(value);
}
