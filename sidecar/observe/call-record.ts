// Makes the record of a call for people and tools from what the log knows of it: values clipped, secrets cut.
import type { CallFacts, CallParty, CallRecord } from '#api/call-record.ts';
import type { Endpoint } from '#api/snapshot.ts';
import type { ConnectionFacts } from '#policy/facts.ts';

import type { Exchange } from '../exchange.ts';
import { refusedByPolicy } from '../failures.ts';
import type { LoggedReason } from '../telemetry/log-reason.ts';
import type { LogRecord } from '../telemetry/log-record.ts';
import { ConnectionSlot } from '../telemetry/slot.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import type { ConnectionRefusal, TcpSession } from '../telemetry/types.ts';
import type { WallClock } from '../telemetry/wall-clock.ts';
import {
  labelsOfIdentity,
  unknown,
  unknownWorkload,
  type WorkloadLabels,
} from '../telemetry/workload-labels.ts';
import { redacted, secretHeadersOf, withoutQueryValues } from './secrets.ts';

/** Longer values are cut: a client's 60 KB path must not cost 60 KB of memory. */
const charsMax = 512;

/** The two ends of a call, as the metrics name them. */
export interface Parties {
  readonly source: CallParty;
  readonly destination: CallParty;
}

/** @param self of this sidecar's own workload */
export function partiesOf(
  subject: Exchange | TcpSession | ConnectionRefusal,
  self: WorkloadLabels,
): Parties {
  const { downstream } = subject;
  if (downstream.direction === 'outbound') {
    const endpoint = 'endpoint' in subject ? subject.endpoint : null;
    return { source: party(self), destination: partyOfEndpoint(endpoint) };
  }
  const { facts, telemetry } = downstream as {
    readonly facts?: ConnectionFacts;
    readonly telemetry?: unknown;
  };
  const told = telemetry instanceof ConnectionSlot ? telemetry.peer : null;
  const identity = facts?.identities[0];
  const proven = identity === undefined ? unknownWorkload : labelsOfIdentity(identity);
  return { source: party(told ?? proven), destination: party(self) };
}

/** @param record filled for the call */
export function callRecord(
  record: LogRecord,
  { fields: reason, dryRun }: LoggedReason,
  parties: Parties,
  clock: WallClock,
): CallRecord {
  const { exchange, session, refusal } = record;
  const { direction } = (exchange ?? session ?? refusal)!.downstream;
  const verdict = verdictOf(record);
  return {
    at: clock.text(record.startedAtMs),
    reporter: direction,
    id: record.id,
    traceId: traceIdOf(record),
    method: clip(record.method),
    authority: clip(record.authority),
    path: clip(withoutQueryValues(record.path)),
    protocol: record.protocol === '' ? 'TCP' : record.protocol,
    status: record.status,
    flags: record.flags,
    details: clip(record.details),
    grpcStatus: clip(exchange?.grpcStatus ?? ''),
    durationMs: Math.round(record.durationMs * 1000) / 1000,
    requestBytes: record.receivedBytes,
    responseBytes: record.sentBytes,
    ...parties,
    ...targetOf(record),
    mtls: isMutual(record),
    verdict,
    why: whyOf(record, reason.why ?? ''),
    policy: reason.policy,
    rule: reason.rule,
    place: reason.at,
    ...(reason.nearest !== null && { nearest: reason.nearest }),
    ...(dryRun !== null && dryRun.length > 0 && { dryRun }),
    endpoint: record.upstreamAddress,
    attempts: exchange?.attempts ?? 0,
    route: record.routeName,
  };
}

/** What the verdict was made from; null for a connection that came to none. */
export function callFacts({ exchange, session }: LogRecord): CallFacts | null {
  const facts = (exchange ?? session)?.downstream.facts;
  if (facts === undefined) return null;
  const { identities, sourceIp, destinationIp, sni } = facts;
  const base = { identities, sourceIp, destinationIp, sni };
  if (exchange === null) return { ...base, scheme: '', headers: [], token: null };
  const request = exchange.judged ?? exchange.request;
  const isSecret = secretHeadersOf(exchange.enforced);
  return {
    ...base,
    scheme: request.scheme,
    headers: request.lines().map(([name, value]): [string, string] => {
      const lower = name.toLowerCase();
      return [lower, isSecret(lower) ? redacted : value];
    }),
    token: request.token,
  };
}

function party({ namespace, workload, principal }: WorkloadLabels): CallParty {
  return { namespace, workload, principal };
}

function partyOfEndpoint(endpoint: Endpoint | null): CallParty {
  if (endpoint === null) return party(unknownWorkload);
  const { namespace, workload, identity } = endpoint;
  return {
    namespace: namespace || unknown,
    workload: workload || unknown,
    principal: identity ?? unknown,
  };
}

function targetOf({ exchange, session, refusal }: LogRecord): { port: number; service: string } {
  if (refusal !== null) return { port: refusal.destinationPort, service: '' };
  const { downstream, service, servicePort } = (exchange ?? session)!;
  const port = downstream.direction === 'inbound' ? downstream.facts.destinationPort : servicePort;
  return { port, service: service?.hosts[0] ?? '' };
}

/** Outbound: by how the endpoint is called, whether or not it could be. */
function isMutual({ exchange, session, refusal }: LogRecord): boolean {
  if (refusal !== null) return refusal.transport === 'mtls';
  const { downstream, endpoint } = (exchange ?? session)!;
  if (downstream.direction === 'inbound') return downstream.facts.mtls;
  if (exchange !== null) return exchange.member?.meshed === true;
  return endpoint !== null && endpoint.identity !== null;
}

function verdictOf({ exchange, session, refusal }: LogRecord): CallRecord['verdict'] {
  // A PeerAuthentication has a place where it is written, a broken handshake has none.
  if (refusal !== null) return refusal.at === null ? null : 'deny';
  const code = exchange?.failure?.code;
  if (code !== undefined && refusedByPolicy.has(code)) return 'deny';
  const verdict = (exchange ?? session)!.verdict;
  if (verdict === null) return null;
  return verdict.allowed ? 'allow' : 'deny';
}

/** Let through, and failed behind that: both are the reason. */
function whyOf({ exchange, details }: LogRecord, why: string): string {
  const failure = exchange?.failure ?? null;
  if (failure === null || failure.why !== undefined) return why;
  if (exchange?.verdict?.allowed !== true) return why;
  return `${failure.code}: ${clip(details)}; before that ${why}`;
}

function clip(text: string): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
}
