// Istio's standard metrics: counted in typed arrays on the request path, read out by exposition.ts.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import type { Downstream, Exchange } from '../exchange.ts';
import { histogramCells, SeriesTable } from './series.ts';
import { slotOf, type ConnectionSlot, type ResolvedSeries } from './slot.ts';
import type { ConnectionRefusal, TcpSession } from './types.ts';
import {
  labelsOfIdentity,
  labelsOfWorkload,
  unknown,
  unknownWorkload,
  type WorkloadLabels,
} from './workload-labels.ts';

export type SeriesLabels = Readonly<Record<string, string>>;

export interface MetricsOptions {
  workload: Workload;
  /** Own SPIFFE ID; '' before there is one. */
  identity: () => string;
  cluster: string;
  /** Series of each table, at most; later ones share one series with the labels `overflow`. */
  seriesMax: number;
}

/** Offsets in a row of `http`. The number of requests is the count of any histogram. */
export const httpCells = {
  durationMs: 0,
  requestBytes: histogramCells,
  responseBytes: 2 * histogramCells,
} as const;
const httpStride = 3 * histogramCells;

/** Offsets in a row of `tcp`. */
export const tcpCells = { opened: 0, closed: 1, sentBytes: 2, receivedBytes: 3 } as const;

export class Metrics {
  readonly http: SeriesTable<SeriesLabels>;
  readonly tcp: SeriesTable<SeriesLabels>;
  /** Refused connections by how far they came. */
  readonly refused = new Map<ConnectionRefusal['transport'], number>();
  private readonly options: MetricsOptions;
  private own: WorkloadLabels | null = null;
  private ownIdentity = '';
  /** Open sessions and the bytes of each that are already counted. */
  private readonly sessions = new Map<TcpSession, { sent: number; received: number }>();
  private readonly destinations = new WeakMap<Endpoint, WorkloadLabels>();

  constructor(options: MetricsOptions) {
    this.options = options;
    this.http = new SeriesTable(httpStride, options.seriesMax, overflowLabels);
    this.tcp = new SeriesTable(4, options.seriesMax, overflowLabels);
  }

  /** Counts one finished exchange. */
  exchange(x: Exchange): void {
    const slot = slotOf(x.downstream);
    const flag = x.flags;
    const grpc = x.protocol !== 'HTTP/1.1' && isGrpc(x);
    const base = this.known(x, slot, flag, grpc) ?? this.resolve(x, slot, flag, grpc);
    const { http } = this;
    http.observe(base + httpCells.durationMs, x.finishedAtMs - x.startedAtMs);
    http.observe(base + httpCells.requestBytes, x.requestBodyBytes);
    http.observe(base + httpCells.responseBytes, x.responseBodyBytes);
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    this.refused.set(refusal.transport, (this.refused.get(refusal.transport) ?? 0) + 1);
  }

  tcpOpened(session: TcpSession): void {
    this.sessions.set(session, { sent: 0, received: 0 });
    this.tcp.add(this.tcpSeries(session, '-') + tcpCells.opened, 1);
  }

  tcpClosed(session: TcpSession): void {
    this.countBytes(session);
    this.sessions.delete(session);
    this.tcp.add(this.tcpSeries(session, session.flag) + tcpCells.closed, 1);
  }

  /** Brings the byte counts of sessions that are still open up to date. Called at each scrape. */
  countOpenSessions(): void {
    for (const session of this.sessions.keys()) this.countBytes(session);
  }

  /** This workload's own labels. */
  self(): WorkloadLabels {
    const identity = this.options.identity();
    if (this.own === null || identity !== this.ownIdentity) {
      this.ownIdentity = identity;
      this.own = labelsOfWorkload(this.options.workload, identity, this.options.cluster);
    }
    return this.own;
  }

  private known(x: Exchange, slot: ConnectionSlot, flag: string, grpc: boolean): number | null {
    for (const series of slot.series) {
      if (matches(series, x, slot, flag, grpc)) return series.base;
    }
    return null;
  }

  private resolve(x: Exchange, slot: ConnectionSlot, flag: string, grpc: boolean): number {
    const source = this.source(x.downstream, slot);
    const labels = {
      ...this.parties(x.downstream, source, x.endpoint),
      ...destinationService(x.downstream, x.service, x.failure?.code === 'route-missing'),
      request_protocol: grpc ? 'grpc' : 'http',
      response_code: String(x.status),
      grpc_response_status: grpcStatusLabel(x.grpcStatus),
      connection_security_policy: securityPolicy(x.downstream),
      response_flags: flag,
    };
    const base = this.http.find(Object.values(labels).join('\n'), () => labels);
    const { service, endpoint, status, grpcStatus } = x;
    slot.series.unshift({ source, service, endpoint, status, flag, grpc, grpcStatus, base });
    if (slot.series.length > seriesPerConnection) slot.series.pop();
    return base;
  }

  private tcpSeries(session: TcpSession, flag: string): number {
    const { downstream } = session;
    const labels = {
      ...this.parties(downstream, this.source(downstream, null), session.endpoint),
      ...destinationService(downstream, session.service, false),
      request_protocol: 'tcp',
      connection_security_policy: securityPolicy(downstream),
      response_flags: flag,
    };
    return this.tcp.find(Object.values(labels).join('\n'), () => labels);
  }

  private countBytes(session: TcpSession): void {
    const counted = this.sessions.get(session);
    if (counted === undefined) return;
    const base = this.tcpSeries(session, '-');
    this.tcp.add(base + tcpCells.sentBytes, session.sentBytes - counted.sent);
    this.tcp.add(base + tcpCells.receivedBytes, session.receivedBytes - counted.received);
    counted.sent = session.sentBytes;
    counted.received = session.receivedBytes;
  }

  private source(downstream: Connection, slot: ConnectionSlot | null): WorkloadLabels {
    if (downstream.direction === 'outbound') return this.self();
    if (slot !== null && slot.peer !== null) return slot.peer;
    if (slot !== null && slot.source !== null) return slot.source;
    const identity = downstream.facts.identities[0];
    const labels = identity === undefined ? unknownWorkload : labelsOfIdentity(identity);
    if (slot !== null) slot.source = labels;
    return labels;
  }

  private parties(
    downstream: Connection,
    source: WorkloadLabels,
    endpoint: Endpoint | null,
  ): SeriesLabels {
    const inbound = downstream.direction === 'inbound';
    const destination = inbound ? this.self() : this.destination(endpoint);
    return {
      reporter: inbound ? 'destination' : 'source',
      ...labelled('source', source),
      ...labelled('destination', destination),
    };
  }

  private destination(endpoint: Endpoint | null): WorkloadLabels {
    if (endpoint === null) return unknownWorkload;
    const known = this.destinations.get(endpoint);
    if (known !== undefined) return known;
    const { workload: name, namespace, labels } = endpoint;
    const made = labelsOfWorkload(
      { name, namespace, labels },
      endpoint.identity ?? '',
      this.options.cluster,
    );
    this.destinations.set(endpoint, made);
    return made;
  }
}

type Connection = Pick<Downstream, 'direction' | 'facts'>;

const seriesPerConnection = 16;

const overflowLabels: SeriesLabels = Object.freeze({ reporter: 'overflow' });

function matches(
  series: ResolvedSeries,
  x: Exchange,
  slot: ConnectionSlot,
  flag: string,
  grpc: boolean,
): boolean {
  return (
    series.status === x.status &&
    series.service === x.service &&
    series.endpoint === x.endpoint &&
    series.flag === flag &&
    series.grpcStatus === x.grpcStatus &&
    series.grpc === grpc &&
    (slot.peer === null || series.source === slot.peer)
  );
}

function labelled(prefix: 'source' | 'destination', labels: WorkloadLabels): SeriesLabels {
  return {
    [`${prefix}_workload`]: labels.workload,
    [`${prefix}_workload_namespace`]: labels.namespace,
    [`${prefix}_principal`]: labels.principal,
    [`${prefix}_app`]: labels.app,
    [`${prefix}_version`]: labels.version,
    [`${prefix}_canonical_service`]: labels.canonicalService,
    [`${prefix}_canonical_revision`]: labels.canonicalRevision,
    [`${prefix}_cluster`]: labels.cluster,
  };
}

/** Where no Service is known Istio names its catch-all clusters, never the caller's Host header. */
function destinationService(
  downstream: Connection,
  service: Service | null,
  routeMissing: boolean,
): SeriesLabels {
  if (service !== null) {
    return {
      destination_service: service.hosts[0] ?? unknown,
      destination_service_name: service.name,
      destination_service_namespace: service.namespace,
    };
  }
  const outbound = routeMissing ? 'BlackHoleCluster' : 'PassthroughCluster';
  return {
    destination_service: unknown,
    destination_service_name: downstream.direction === 'inbound' ? unknown : outbound,
    destination_service_namespace: unknown,
  };
}

function securityPolicy(downstream: Connection): string {
  if (downstream.direction === 'outbound') return unknown;
  return downstream.facts.mtls ? 'mutual_tls' : 'none';
}

function isGrpc(x: Exchange): boolean {
  const type = x.request.values('content-type')[0];
  return type !== undefined && type.startsWith('application/grpc');
}

/** gRPC defines 0 to 16; anything else an upstream sends is not worth a label. */
function grpcStatusLabel(status: string): string {
  if (status === '') return '';
  const code = Number(status);
  return Number.isInteger(code) && code >= 0 && code <= 16 ? String(code) : unknown;
}
