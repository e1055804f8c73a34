// The access log's operators without an argument, each as a function from a record to a value.
import { hostname } from 'node:os';

import type { PlainOperator } from '#api/access-log/operators.ts';

import type { Exchange } from '../exchange.ts';
import { longFlags } from '../response-flags.ts';
import {
  certificatePart,
  grpcStatusOf,
  virtualHostOf,
  type CertificatePart,
} from './call-values.ts';
import { answerBytes, requestBytes } from './header-bytes.ts';
import type { LogRecord } from './log-record.ts';
import { connectionId } from './slot.ts';
import { traceIdOf } from './trace-context.ts';

/** A value of null is written `-`, in JSON `null`. */
export type Operator = (record: LogRecord) => string | number | null;

const none: Operator = () => null;
const localAddress: Operator = (r) => r.localAddress;
const remoteAddress: Operator = (r) => r.remoteAddress;
const localHost: Operator = (r) => hostOf(r.localAddress);
const remoteHost: Operator = (r) => hostOf(r.remoteAddress);
const localPort: Operator = (r) => portOf(r.localAddress);
const remotePort: Operator = (r) => portOf(r.remoteAddress);
const upstreamAddress: Operator = (r) => r.upstreamAddress || null;
const upstreamCluster: Operator = (r) => r.upstreamCluster || null;
const machine = hostname();

/** They need a reason, which log-operators.ts has. */
type ReasonOperator = 'SELVAGE_AT' | 'SELVAGE_POLICY' | 'SELVAGE_RULE' | 'SELVAGE_WHY';

/** Typed by the vocabulary, so that nothing that `check` lets pass is missing. */
export const readers: Readonly<Record<Exclude<PlainOperator, ReasonOperator>, Operator>> = {
  ACCESS_LOG_TYPE: (r) => (r.exchange === null ? 'TcpConnectionEnd' : 'DownstreamEnd'),
  BYTES_RECEIVED: (r) => r.receivedBytes,
  BYTES_SENT: (r) => r.sentBytes,
  CONNECTION_ID: (r) => {
    const of = r.exchange ?? r.session ?? r.refusal;
    return of === null ? null : connectionId(of.downstream);
  },
  CONNECTION_TERMINATION_DETAILS: (r) =>
    r.terminationDetails === '' ? null : underscored(r.terminationDetails),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: localAddress,
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: localHost,
  DOWNSTREAM_DIRECT_LOCAL_PORT: localPort,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: remoteAddress,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: remoteHost,
  DOWNSTREAM_DIRECT_REMOTE_PORT: remotePort,
  DOWNSTREAM_LOCAL_ADDRESS: localAddress,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: localHost,
  DOWNSTREAM_LOCAL_PORT: localPort,
  DOWNSTREAM_LOCAL_URI_SAN: certificate('By'),
  DOWNSTREAM_PEER_FINGERPRINT_256: certificate('Hash'),
  DOWNSTREAM_PEER_SUBJECT: certificate('Subject'),
  DOWNSTREAM_PEER_URI_SAN: (r) => r.sourcePrincipal || null,
  DOWNSTREAM_REMOTE_ADDRESS: remoteAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: remoteHost,
  DOWNSTREAM_REMOTE_PORT: remotePort,
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.refusal?.reason ?? null,
  DURATION: (r) => Math.round(r.durationMs),
  GRPC_STATUS_NUMBER: http((x) => grpcStatusOf(x)),
  HOSTNAME: () => machine,
  PROTOCOL: (r) => r.protocol || null,
  REQUESTED_SERVER_NAME: (r) => r.sni || null,
  REQUEST_HEADERS_BYTES: http(requestBytes),
  REQUEST_TX_DURATION: http((x) => between(x.startedAtMs, x.forwardedAtMs)),
  RESPONSE_CODE: (r) => r.status,
  // Envoy writes blanks in details as underscores, so that the field stays one word.
  RESPONSE_CODE_DETAILS: (r) => (r.details === '' ? null : underscored(r.details)),
  RESPONSE_DURATION: http((x) => between(x.startedAtMs, x.respondedAtMs)),
  RESPONSE_FLAGS: (r) => r.flags,
  RESPONSE_FLAGS_LONG: (r) => longFlags(r.flags),
  RESPONSE_HEADERS_BYTES: http(answerBytes),
  RESPONSE_TX_DURATION: http((x) => between(x.respondedAtMs, x.finishedAtMs)),
  ROUTE_NAME: (r) => r.routeName || null,
  SELVAGE_ID: (r) => r.id || null,
  TRACE_ID: (r) => traceIdOf(r) || null,
  UPSTREAM_CLUSTER: upstreamCluster,
  UPSTREAM_CLUSTER_RAW: upstreamCluster,
  UPSTREAM_HOST: upstreamAddress,
  // The pooled socket's own port would cost a look-up for each request and tells nobody anything.
  UPSTREAM_LOCAL_ADDRESS: none,
  UPSTREAM_PEER_URI_SAN: (r) => (r.exchange ?? r.session)?.endpoint?.identity ?? null,
  UPSTREAM_REMOTE_ADDRESS: upstreamAddress,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (r) =>
    r.upstreamAddress === '' ? null : hostOf(r.upstreamAddress),
  UPSTREAM_REMOTE_PORT: (r) => (r.upstreamAddress === '' ? null : portOf(r.upstreamAddress)),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (r) => r.exchange?.attempts ?? null,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.transportFailure || null,
  VIRTUAL_HOST_NAME: http(virtualHostOf),
};

/** These are made here of plain characters, so that they need no escaping. */
export const ownTexts: ReadonlySet<string> = new Set<PlainOperator | 'START_TIME'>([
  'START_TIME',
  'PROTOCOL',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'ROUTE_NAME',
]);

function http(read: (x: Exchange) => string | number | null): Operator {
  return ({ exchange }) => (exchange === null ? null : read(exchange));
}

/** Of the caller, by request or by connection. */
function certificate(part: CertificatePart): Operator {
  return ({ exchange, session }) => {
    const of = exchange ?? session;
    return of === null ? null : certificatePart(of.downstream, part);
  };
}

/** Both are performance.now(); 0: it never came to that. */
function between(fromMs: number, toMs: number): number | null {
  return fromMs === 0 || toMs === 0 ? null : Math.max(0, Math.round(toMs - fromMs));
}

/** `10.0.0.7` of `10.0.0.7:80`, `fd00::1` of `[fd00::1]:80`. */
function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':'));
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function underscored(text: string): string {
  return text.includes(' ') ? text.replaceAll(' ', '_') : text;
}
