// Who calls whom, as the metrics have counted it; refusals, which no metric tells from an application's own, are counted here.
import type { EdgeCount } from '#api/call-record.ts';

import type { Exchange } from '../exchange.ts';
import { httpCells, tcpCells, type Metrics, type SeriesLabels } from '../telemetry/metrics.ts';
import { histogramCells, type SeriesTable } from '../telemetry/series.ts';
import type { TcpSession } from '../telemetry/types.ts';
import { unknown } from '../telemetry/workload-labels.ts';
import type { Parties } from './call-record.ts';

/** Of further edges refusals are not counted; the tables of the metrics have a bound of their own. */
const refusedEdgesMax = 1000;
const refusedStatuses: ReadonlySet<number> = new Set([401, 403, 429]);
/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: a server's, as OpenTelemetry has it. */
const grpcFailures: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);
/** Flags of connections that nobody refused and nothing failed: the client went, or nobody spoke. */
export const ordinaryEnds: ReadonlySet<string> = new Set(['-', 'DC', 'SI']);
const durationCells = histogramCells - 1;
const noDurations: readonly number[] = Object.freeze(
  Array.from({ length: durationCells }, () => 0),
);

type Edge = Omit<EdgeCount, 'requests' | 'failures' | 'refusals' | 'durations'>;

export class Edges {
  readonly #metrics: Metrics;
  readonly #refused = new Map<string, { readonly edge: Edge; count: number }>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Of a failure that was made here. */
  failed(x: Exchange, parties: Parties): void {
    const { failure, downstream, service } = x;
    if (failure === null) return;
    if (failure.code !== 'rate-limited' && !refusedStatuses.has(failure.status)) return;
    const inbound = downstream.direction === 'inbound';
    const type = x.request.values('content-type')[0] ?? '';
    const grpc = x.protocol !== 'HTTP/1.1' && type.startsWith('application/grpc');
    this.#refuse({
      reporter: downstream.direction,
      ...parties,
      service: service?.hosts[0] ?? '',
      protocol: grpc ? 'grpc' : 'http',
      security: !inbound ? 'unknown' : downstream.facts.mtls ? 'mutual_tls' : 'none',
    });
  }

  /** Of a connection that a policy denied. */
  denied({ downstream, service }: TcpSession, parties: Parties): void {
    this.#refuse({
      reporter: 'inbound',
      ...parties,
      service: service?.hosts[0] ?? '',
      protocol: 'tcp',
      security: downstream.facts.mtls ? 'mutual_tls' : 'none',
    });
  }

  list(): EdgeCount[] {
    const { http, tcp } = this.#metrics;
    const refused = [...this.#refused.values()].map(({ edge, count }) => ({
      ...edge,
      requests: 0,
      failures: 0,
      refusals: count,
      durations: noDurations,
    }));
    return mergeEdges([rowsOf(http, httpEdge), rowsOf(tcp, tcpEdge), refused]);
  }

  #refuse(edge: Edge): void {
    const key = keyOf(edge);
    const known = this.#refused.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#refused.size < refusedEdgesMax) this.#refused.set(key, { edge, count: 1 });
  }
}

/** The counts of the same edge are summed. */
export function mergeEdges(all: readonly (readonly EdgeCount[])[]): EdgeCount[] {
  const merged = new Map<string, EdgeCount>();
  for (const edge of all.flat()) {
    const key = keyOf(edge);
    const before = merged.get(key);
    merged.set(key, before === undefined ? edge : sum(before, edge));
  }
  return [...merged.values()];
}

function sum(one: EdgeCount, other: EdgeCount): EdgeCount {
  return {
    ...one,
    requests: one.requests + other.requests,
    failures: one.failures + other.failures,
    refusals: one.refusals + other.refusals,
    durations: one.durations.map((count, i) => count + (other.durations[i] ?? 0)),
  };
}

/** Row 0 is what found no room: of whom, nobody knows. */
function rowsOf(
  table: SeriesTable<SeriesLabels>,
  read: (labels: SeriesLabels, cells: Float64Array) => EdgeCount,
): EdgeCount[] {
  const { stride, cells } = table;
  return table.labels
    .slice(1)
    .map((labels, i) => read(labels, cells.subarray((i + 1) * stride, (i + 2) * stride)))
    .filter(({ requests, failures }) => requests + failures > 0);
}

function httpEdge(labels: SeriesLabels, cells: Float64Array): EdgeCount {
  const { response_code: code = '', grpc_response_status: grpcStatus = '' } = labels;
  const first = httpCells.durationMs + 1;
  const durations = [...cells.subarray(first, first + durationCells)];
  const requests = durations.reduce((total, count) => total + count, 0);
  const status = Number(code);
  const failed = status === 0 || status >= 500 || grpcFailures.has(grpcStatus);
  const protocol = labels['request_protocol'] === 'grpc' ? 'grpc' : 'http';
  const counts = { requests, failures: failed ? requests : 0, refusals: 0, durations };
  return { ...edgeOf(labels, protocol), ...counts };
}

function tcpEdge(labels: SeriesLabels, cells: Float64Array): EdgeCount {
  const failed = !ordinaryEnds.has(labels['response_flags'] ?? '-');
  const failures = failed ? (cells[tcpCells.closed] ?? 0) : 0;
  const requests = cells[tcpCells.opened] ?? 0;
  const counts = { requests, failures, refusals: 0, durations: noDurations };
  return { ...edgeOf(labels, 'tcp'), ...counts };
}

function edgeOf(labels: SeriesLabels, protocol: EdgeCount['protocol']): Edge {
  const service = labels['destination_service'] ?? unknown;
  const security = labels['connection_security_policy'];
  return {
    reporter: labels['reporter'] === 'source' ? 'outbound' : 'inbound',
    source: partyOf(labels, 'source'),
    destination: partyOf(labels, 'destination'),
    service: service === unknown ? '' : service,
    protocol,
    security: security === 'mutual_tls' || security === 'none' ? security : 'unknown',
  };
}

function partyOf(labels: SeriesLabels, side: 'source' | 'destination'): EdgeCount['source'] {
  return {
    namespace: labels[`${side}_workload_namespace`] ?? unknown,
    workload: labels[`${side}_workload`] ?? unknown,
    principal: labels[`${side}_principal`] ?? unknown,
  };
}

function keyOf({ reporter, source, destination, service, protocol, security }: Edge): string {
  const ends = [source, destination].flatMap(({ namespace, workload, principal }) => [
    namespace,
    workload,
    principal,
  ]);
  return [reporter, ...ends, service, protocol, security].join('\n');
}
