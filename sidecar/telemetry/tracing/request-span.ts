// The span of one request: OpenTelemetry's conventions for HTTP and RPC, Envoy's names where tools look for them, and ours.
import { pathOfTarget } from '#policy/request.ts';
import { plainAddress } from '#runtime/plain-address.ts';

import type { Exchange } from '../../exchange.ts';
import { refusedByPolicy, type FailureCode } from '../../failures.ts';
import type { LogRecord } from '../log-record.ts';
import type { Trace } from '../trace-context.ts';
import { addressAttributes, calledHost, partyAttributes } from './places.ts';
import type { Attributes, FinishedSpan, SpanEvent } from './span.ts';
import type { SpanStyle } from './span-style.ts';

/** @param record of this exchange */
export function requestSpan(
  x: Exchange,
  trace: Trace,
  record: LogRecord,
  style: SpanStyle,
  clockMs: number,
): FinishedSpan {
  const inbound = x.downstream.direction === 'inbound';
  const rpc = rpcOf(x);
  const method = methods.has(x.request.method) ? x.request.method : 'HTTP';
  const host = calledHost(x, style) || style.cut(hostOf(x.request.authority));
  const attributes: Attributes = {};
  style.addOwner(attributes);
  addRequest(attributes, x, style);
  addPlaces(attributes, x, style);
  addEnvoyNames(attributes, x, record, style);
  if (rpc !== null) addRpc(attributes, x, rpc, style);
  const refused = refusalOf(x, record, style);
  addOutcome(attributes, x, refused, style);
  style.addTags(attributes, record);
  return {
    name: rpc === null ? `${method} ${host}` : style.cut(`${rpc.service}/${rpc.method}`),
    kind: inbound ? 'server' : 'client',
    trace,
    startedAtMs: x.startedAtMs,
    finishedAtMs: x.finishedAtMs,
    clockMs,
    failed: hasFailed(x, inbound, rpc !== null),
    attributes,
    events: eventsOf(x, trace, refused),
  };
}

/** Those that OpenTelemetry knows; any other is `_OTHER`, so that callers cannot make up names without end. */
const methods: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY'.split(' '),
);

interface Rpc {
  readonly service: string;
  readonly method: string;
}

function addRequest(attributes: Attributes, x: Exchange, style: SpanStyle): void {
  const { request } = x;
  const [path = ''] = pathOfTarget(request.path).split('?', 1);
  if (methods.has(request.method)) {
    attributes['http.request.method'] = request.method;
  } else {
    attributes['http.request.method'] = '_OTHER';
    attributes['http.request.method_original'] = style.cut(request.method);
  }
  // Without the query: tokens travel there.
  attributes['url.path'] = style.cut(path);
  attributes['url.scheme'] = request.scheme;
  if (x.downstream.direction === 'outbound') attributes['url.full'] = style.cut(urlOf(x));
  if (x.status !== 0) attributes['http.response.status_code'] = x.status;
  attributes['http.request.body.size'] = x.requestBodyBytes;
  attributes['http.response.body.size'] = x.responseBodyBytes;
  attributes['network.protocol.name'] = 'http';
  attributes['network.protocol.version'] = x.protocol.slice(5);
  const agent = request.values('user-agent')[0];
  if (agent !== undefined) attributes['user_agent.original'] = style.cut(agent);
}

function addPlaces(attributes: Attributes, x: Exchange, style: SpanStyle): void {
  const { downstream, upstreamAddress, request, routed } = x;
  const inbound = downstream.direction === 'inbound';
  addressAttributes(attributes, 'server', style.cut(request.authority));
  const remote = plainAddress(downstream.remoteAddress);
  if (inbound) {
    attributes['client.address'] = remote;
    attributes['network.peer.address'] = remote;
    attributes['network.peer.port'] = downstream.remotePort;
  } else if (upstreamAddress !== '') {
    addressAttributes(attributes, 'network.peer', upstreamAddress);
  }
  if (upstreamAddress !== '') attributes['selvage.endpoint'] = upstreamAddress;
  if (routed !== null) attributes['selvage.route'] = style.cut(routed.compiled.route.name);
  partyAttributes(attributes, x, style);
}

/** What Envoy's spans have, and what dashboards for Istio ask for. */
function addEnvoyNames(
  attributes: Attributes,
  x: Exchange,
  record: LogRecord,
  style: SpanStyle,
): void {
  const { request, downstream } = x;
  attributes['http.method'] = style.cut(request.method);
  attributes['http.url'] = style.cut(urlOf(x));
  attributes['http.protocol'] = x.protocol;
  attributes['http.status_code'] = String(x.status);
  attributes['response_flags'] = x.flags;
  attributes['request_size'] = String(x.requestBodyBytes);
  attributes['response_size'] = String(x.responseBodyBytes);
  attributes['peer.address'] = plainAddress(downstream.remoteAddress);
  attributes['downstream_cluster'] = '-';
  if (x.requestId !== '') attributes['guid:x-request-id'] = style.cut(x.requestId);
  if (record.upstreamCluster === '') return;
  attributes['upstream_cluster'] = record.upstreamCluster;
  attributes['upstream_cluster.name'] = record.upstreamCluster;
}

function addRpc(attributes: Attributes, x: Exchange, rpc: Rpc, style: SpanStyle): void {
  attributes['rpc.system'] = 'grpc';
  attributes['rpc.service'] = style.cut(rpc.service);
  attributes['rpc.method'] = style.cut(rpc.method);
  if (x.grpcStatus === '') return;
  const code = Number(x.grpcStatus);
  if (Number.isInteger(code)) attributes['rpc.grpc.status_code'] = code;
  attributes['grpc.status_code'] = style.cut(x.grpcStatus);
}

function addOutcome(
  attributes: Attributes,
  x: Exchange,
  refused: Refusal | null,
  style: SpanStyle,
): void {
  const { verdict, failure } = x;
  if (x.attempts > 1) attributes['http.request.resend_count'] = x.attempts - 1;
  else if (x.tried.length > 0) attributes['http.request.resend_count'] = x.tried.length;
  if (failure !== null) attributes['error.type'] = failure.code;
  else if (x.status >= 500) attributes['error.type'] = String(x.status);
  if (verdict !== null) style.addVerdict(attributes, verdict);
  // What the caller was told: `selvage why ID`.
  if (x.id !== '') attributes['selvage.id'] = x.id;
  if (refused === null) return;
  if (refused.limit === '') attributes['selvage.verdict'] = 'denied';
  else attributes['selvage.limit'] = refused.limit;
  attributes['selvage.why'] = refused.why;
}

/** What a sidecar did not let through, by policy or by limit. */
const refusals: ReadonlySet<FailureCode> = new Set([
  ...refusedByPolicy,
  'rate-limited',
  'limiter-failed',
  'outside-refused',
]);

interface Refusal {
  readonly code: FailureCode;
  /** The limit that refused; '': it was none. */
  readonly limit: string;
  readonly why: string;
}

function refusalOf(x: Exchange, record: LogRecord, style: SpanStyle): Refusal | null {
  const { failure } = x;
  if (failure === null || !refusals.has(failure.code)) return null;
  return { code: failure.code, limit: failure.limit ?? '', why: style.why(record) };
}

function eventsOf(x: Exchange, trace: Trace, refused: Refusal | null): readonly SpanEvent[] {
  const noted = trace.events ?? [];
  if (refused === null) return noted;
  const attributes: Attributes = {
    'selvage.reason': refused.why,
    'selvage.code': refused.code,
  };
  const name = refused.limit === '' ? 'selvage.denied' : 'selvage.limited';
  return [...noted, { name, atMs: x.finishedAtMs, attributes }];
}

/** OpenTelemetry: a server is at fault from 500 and by some codes of gRPC, a client call failed from 400 and by any. */
function hasFailed(x: Exchange, inbound: boolean, rpc: boolean): boolean {
  if (x.status === 0 || x.status >= (inbound ? 500 : 400)) return true;
  if (!rpc || x.grpcStatus === '') return false;
  return inbound ? serverFaults.has(x.grpcStatus) : x.grpcStatus !== '0';
}

/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const serverFaults: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);

function rpcOf({ request }: Exchange): Rpc | null {
  const type = request.values('content-type')[0];
  if (type?.startsWith('application/grpc') !== true) return null;
  const match = /^\/([^/?]+)\/([^/?]+)/.exec(request.path);
  return match === null ? null : { service: match[1] ?? '', method: match[2] ?? '' };
}

function urlOf({ request }: Exchange): string {
  const [path = ''] = pathOfTarget(request.path).split('?', 1);
  return `${request.scheme}://${request.authority}${path}`;
}

function hostOf(authority: string): string {
  return authority.replace(/:\d+$/, '');
}
