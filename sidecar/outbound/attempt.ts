// One try of a call at one endpoint: what the endpoint's cluster hears of its begin and end.
import type { Exchange, UpstreamPool } from '../exchange.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { hashOf } from '../routing/hash-key.ts';
import { hashText } from '../upstream/hash.ts';
import type { Member } from '../upstream/member.ts';
import { statusOf } from '../upstream/outcome.ts';
import { chooseBut, poolOf, type Destination } from './destination.ts';

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
  'upstream-refused',
  'upstream-malformed',
]);

/** The pool of the endpoint for the next try; a failure when none may be called. */
export function firstTry(x: Exchange, to: ToService): UpstreamPool | Failure {
  const refusal = to.cluster.admit();
  if (refusal !== null) return refusal;
  const member = chooseBut(x, to.cluster, x.tried, hashFor(x, to));
  return member === null ? failures['endpoint-missing'] : begin(x, member, to);
}

/**
 * After a try that came to nothing: another endpoint, or where all were tried, any once more.
 * @param avoid endpoints that failed are asked last
 */
export function nextTry(x: Exchange, to: ToService, avoid: boolean): UpstreamPool | null {
  const last = x.member;
  if (last === null) return null;
  x.tried = [...x.tried, last];
  const hash = hashFor(x, to);
  const { cluster } = to;
  const member = avoid
    ? (chooseBut(x, cluster, x.tried, hash) ?? chooseBut(x, cluster, [last], hash))
    : null;
  const any = member ?? chooseBut(x, cluster, [], hash);
  return any === null ? null : begin(x, any, to);
}

function begin(x: Exchange, member: Member, { protocol }: ToService): UpstreamPool {
  member.begin();
  x.trying = true;
  return poolOf(x, member, protocol);
}

/** The try is over. @param code why it failed; null: it was answered. @param status of the answer; 0: none */
export function endTry(x: Exchange, code: FailureCode | null, status: number): void {
  const { member } = x;
  if (!x.trying || member === null) return;
  x.trying = false;
  const until = x.respondedAtMs > x.forwardedAtMs ? x.respondedAtMs : performance.now();
  const latencyMs = x.forwardedAtMs === 0 ? 0 : until - x.forwardedAtMs;
  const broken = code !== null && resets.has(code);
  const local = code !== null && localFaults.has(code);
  const fault = local ? 'local' : broken ? 'reset' : 'none';
  member.end({ status: local ? 0 : statusOf(status, x.grpcStatus), fault, latencyMs });
}

function hashFor(x: Exchange, { cluster }: ToService): number | null {
  const key = cluster.hashKey;
  return key === null ? null : hashOf(key, x.request, x.downstream.remoteAddress, hashText);
}
