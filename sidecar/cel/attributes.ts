// Envoy's attributes, each read from the call when an expression asks for it.
import type { celAttributes } from '#api/cel/vocabulary.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Downstream, Exchange } from '../exchange.ts';
import { flagBits } from '../response-flags.ts';
import {
  certificatePart,
  detailsOf,
  grpcStatusOf,
  virtualHostOf,
  type CertificatePart,
} from '../telemetry/call-values.ts';
import { answerBytes, requestBytes } from '../telemetry/header-bytes.ts';
import { clusterOfExchange, clusterOfSession } from '../telemetry/cluster-name.ts';
import { connectionId, slotOf } from '../telemetry/slot.ts';
import { WallClock } from '../telemetry/wall-clock.ts';
import {
  labelsOfIdentity,
  labelsOfWorkload,
  type WorkloadLabels,
} from '../telemetry/workload-labels.ts';
import { AnswerHeaders, answerTrailers, RequestHeaders } from './headers.ts';
import type { Evaluate, Scope } from './scope.ts';
import { Duration, Timestamp, Uint, type CelResult } from './values.ts';

type Readers<Attributes> = {
  readonly [Name in keyof Attributes]: Attributes[Name] extends string
    ? Evaluate
    : Readers<Attributes[Name]>;
};

export interface AttributeReaders {
  readonly [name: string]: Evaluate | AttributeReaders;
}

const clock = new WallClock();

/** Of requests alone. */
function http(read: (x: Exchange) => CelResult): Evaluate {
  return ({ exchange }) => (exchange === null ? undefined : read(exchange));
}

/** Of whatever has a connection whose peer is known. */
function connected(
  read: (downstream: Pick<Downstream, 'facts' | 'forwardedClientCert'>) => CelResult,
): Evaluate {
  return ({ exchange, session }) => {
    const of = exchange ?? session;
    return of === null ? undefined : read(of.downstream);
  };
}

function certificate(part: CertificatePart): Evaluate {
  return connected((downstream) => certificatePart(downstream, part) ?? undefined);
}

function ends(read: (ends: EndsOfConnection) => CelResult): Evaluate {
  return ({ exchange, session, refusal }) => {
    const of = exchange ?? session ?? refusal;
    return of === null ? undefined : read(of.downstream);
  };
}

type EndsOfConnection = Pick<
  Downstream,
  'direction' | 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'
>;

const peerReaders = (labels: (scope: Scope) => WorkloadLabels | null) => {
  const read =
    (name: keyof WorkloadLabels): Evaluate =>
    (scope) => {
      const value = labels(scope)?.[name];
      return value === undefined || value === 'unknown' ? undefined : value;
    };
  return {
    name: read('workload'),
    namespace: read('namespace'),
    workload: read('workload'),
    cluster: read('cluster'),
    app: read('app'),
    version: read('version'),
    service: read('canonicalService'),
    revision: read('canonicalRevision'),
  };
};

const request: Readers<(typeof celAttributes)['request']> = {
  path: http((x) => present(x.request.path)),
  url_path: http(({ request: { path } }) => {
    const query = path.indexOf('?');
    return present(query < 0 ? path : path.slice(0, query));
  }),
  host: http((x) => present(x.request.authority)),
  scheme: http((x) => present(x.request.scheme)),
  method: http((x) => present(x.request.method)),
  headers: http((x) => new RequestHeaders(x)),
  headers_bytes: http(requestBytes),
  referer: http((x) => new RequestHeaders(x).value('referer')),
  useragent: http((x) => new RequestHeaders(x).value('user-agent')),
  time: ({ exchange, session }) => {
    const atMs = exchange?.startedAtMs ?? session?.openedAtMs;
    return atMs === undefined ? undefined : new Timestamp(clock.epochMs(atMs) * 1000);
  },
  id: http((x) => new RequestHeaders(x).value('x-request-id')),
  protocol: http((x) => present(x.protocol)),
  query: http(({ request: { path } }) => {
    const query = path.indexOf('?');
    return query < 0 ? '' : path.slice(query + 1);
  }),
  duration: ({ exchange, session }) => {
    if (exchange !== null) return milliseconds(exchange.finishedAtMs - exchange.startedAtMs);
    // It still lasts: metrics ask when it opens, too.
    if (session === null || session.closedAtMs === 0) return undefined;
    return milliseconds(session.closedAtMs - session.openedAtMs);
  },
  size: ({ exchange, session }) => {
    if (exchange === null) return session?.receivedBytes;
    const length = exchange.request.values('content-length')[0];
    return length !== undefined && /^\d{1,15}$/.test(length)
      ? Number(length)
      : exchange.requestBodyBytes;
  },
  total_size: ({ exchange, session }) => {
    if (exchange === null) return session?.receivedBytes;
    return exchange.requestBodyBytes + requestBytes(exchange);
  },
};

const response: Readers<(typeof celAttributes)['response']> = {
  code: http((x) => (x.status === 0 ? undefined : x.status)),
  code_details: http((x) => detailsOf(x).replaceAll(' ', '_')),
  flags: ({ exchange, session, refusal }) => {
    if (exchange !== null) return flagBits(exchange.flags);
    return session === null ? flagBits(refusal === null ? '-' : 'NR') : flagBits(session.flag);
  },
  grpc_status: http((x) => grpcStatusOf(x) ?? undefined),
  headers: http((x) => new AnswerHeaders(x)),
  headers_bytes: http(answerBytes),
  trailers: http(answerTrailers),
  size: ({ exchange, session }) => exchange?.responseBodyBytes ?? session?.sentBytes,
  total_size: ({ exchange, session }) =>
    exchange === null ? session?.sentBytes : exchange.responseBodyBytes + answerBytes(exchange),
  backend_latency: http((x) =>
    x.respondedAtMs === 0 ? undefined : milliseconds(x.respondedAtMs - x.forwardedAtMs),
  ),
};

const connection: Readers<(typeof celAttributes)['connection']> = {
  id: ends((of) => new Uint(connectionId(of))),
  mtls: connected(({ facts }) => facts.mtls),
  requested_server_name: ({ exchange, session, refusal }) =>
    exchange?.downstream.facts.sni ?? session?.downstream.facts.sni ?? refusal?.sni,
  subject_peer_certificate: certificate('Subject'),
  uri_san_local_certificate: certificate('By'),
  uri_san_peer_certificate: connected(({ facts }) => facts.identities[0]),
  sha256_peer_certificate_digest: certificate('Hash'),
  termination_details: ({ session, refusal }) =>
    refusal === null ? present(session?.details ?? '') : 'connection_refused',
  transport_failure_reason: ({ refusal }) => refusal?.reason,
};

const upstream: Readers<(typeof celAttributes)['upstream']> = {
  address: ({ exchange, session }) => present((exchange ?? session)?.upstreamAddress ?? ''),
  port: ({ exchange, session }) => {
    const address = (exchange ?? session)?.upstreamAddress ?? '';
    return address === '' ? undefined : Number(address.slice(address.lastIndexOf(':') + 1));
  },
  uri_san_peer_certificate: ({ exchange, session }) =>
    (exchange ?? session)?.endpoint?.identity ?? undefined,
  transport_failure_reason: http((x) =>
    x.failure?.code === 'upstream-tls' ? present(x.details) : undefined,
  ),
  request_attempt_count: http((x) => new Uint(x.attempts)),
};

const xds: Readers<(typeof celAttributes)['xds']> = {
  cluster_name: ({ exchange, session }) => {
    if (exchange !== null) return clusterOfExchange(exchange);
    return session === null ? undefined : clusterOfSession(session);
  },
  route_name: http((x) => x.routed?.compiled.route.name ?? 'default'),
  virtual_host_name: http(virtualHostOf),
  listener_direction: ends(({ direction }) => (direction === 'inbound' ? 1 : 2)),
};

/** Typed by the vocabulary, so that nothing that `check` lets pass is missing here. */
const readers: Readers<typeof celAttributes> = {
  request,
  response,
  source: {
    address: ends((of) => formatAddress(of.remoteAddress, of.remotePort)),
    port: ends((of) => of.remotePort),
  },
  destination: {
    address: ends((of) => formatAddress(of.localAddress, of.localPort)),
    port: ends((of) => of.localPort),
  },
  connection,
  upstream,
  xds,
  filter_state: {
    downstream_peer: peerReaders(({ exchange, session }) => {
      if (exchange !== null) return callerOf(exchange.downstream);
      return session === null ? null : callerOfConnection(session.downstream);
    }),
    upstream_peer: peerReaders(({ exchange, session }) => {
      const endpoint = (exchange ?? session)?.endpoint;
      if (!endpoint) return null;
      const { workload: name, namespace, labels, identity } = endpoint;
      return labelsOfWorkload({ name, namespace, labels }, identity ?? '', '');
    }),
  },
};

export const attributeReaders: AttributeReaders = readers;

function present(text: string): CelResult {
  return text === '' ? undefined : text;
}

function milliseconds(ms: number): Duration {
  return new Duration(Math.round(ms * 1e6));
}

function callerOf(downstream: Downstream): WorkloadLabels | null {
  if (downstream.direction === 'outbound') return null;
  return slotOf(downstream).peer ?? callerOfConnection(downstream);
}

function callerOfConnection({
  direction,
  facts,
}: Pick<Downstream, 'direction' | 'facts'>): WorkloadLabels | null {
  const [identity] = facts.identities;
  return direction === 'outbound' || identity === undefined ? null : labelsOfIdentity(identity);
}
