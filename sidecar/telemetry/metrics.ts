// Istio's standard metrics: counted in typed arrays on the request path, read out by standard-families.ts.
import type { Snapshot } from '#api/snapshot.ts';
import type { MetricOverride } from '#api/telemetry.ts';

import type { CelSubject } from '../cel/scope.ts';
import type { Downstream, Exchange } from '../exchange.ts';
import type { GrpcMessages } from '../wire/grpc-messages.ts';
import { Ends, type EndsOptions } from './ends.ts';
import type { WantedOfAnswers } from './kept-answer.ts';
import { callLabels, placeOf, tcpLabels, type Connection } from './metric-labels.ts';
import {
  labelsIn,
  planMetrics,
  standardPlan,
  wantedBy,
  type CompileCel,
  type MetricGroup,
  type MetricPlan,
} from './metric-plan.ts';
import { PolicyDecisions } from './policy-decisions.ts';
import { histogramCells, SeriesTable, type SeriesLabels } from './series.ts';
import { slotOf, type ConnectionSlot, type ResolvedSeries, type TaggedLabels } from './slot.ts';
import { Trace } from './trace-context.ts';
import type { ConnectionRefusal, TcpSession } from './types.ts';
import type { WallClock } from './wall-clock.ts';
import type { WorkloadLabels } from './workload-labels.ts';

export interface MetricsOptions extends EndsOptions {
  /** Series of each table, at most; later ones share one series with the labels `overflow`. */
  seriesMax: number;
  clock: WallClock;
  /** For values of labels that Telemetry resources set. */
  compileCel: CompileCel;
}

/** Offsets in a row of `http`. The number of requests is the count of any histogram. */
export const httpCells = {
  durationMs: 0,
  requestBytes: histogramCells,
  responseBytes: 2 * histogramCells,
} as const;

/** Offsets in a row of `grpc`. */
export const grpcCells = { request: 0, response: 1 } as const;

/** Offsets in a row of `tcp`. */
export const tcpCells = { opened: 0, closed: 1, sentBytes: 2, receivedBytes: 3 } as const;

type Direction = Downstream['direction'];

export class Metrics {
  readonly http: SeriesTable;
  readonly grpc: SeriesTable;
  readonly tcp: SeriesTable;
  readonly decisions = new PolicyDecisions();
  /** Refused connections by how far they came. */
  readonly refused = new Map<ConnectionRefusal['transport'], number>();
  readonly ends: Ends;
  private readonly options: MetricsOptions;
  /** Grows when what connections keep is no longer true. */
  private epoch = 0;
  private overrides: Partial<Record<Direction, readonly MetricOverride[]>> = {};
  private readonly plans: Record<Direction, MetricPlan> = {
    inbound: standardPlan,
    outbound: standardPlan,
  };
  /** Open sessions and the bytes of each that are already counted. */
  private readonly sessions = new Map<TcpSession, { sent: number; received: number }>();

  constructor(options: MetricsOptions) {
    this.options = options;
    this.ends = new Ends(options);
    const { seriesMax } = options;
    this.http = new SeriesTable(3 * histogramCells, seriesMax);
    this.grpc = new SeriesTable(2, seriesMax);
    this.tcp = new SeriesTable(4, seriesMax);
  }

  /** A snapshot came in force: it says whose the ports are, and which labels are wanted. */
  apply({ services, workload, telemetry }: Pick<Snapshot, 'services' | 'workload' | 'telemetry'>) {
    if (this.ends.update({ services, workload })) this.epoch += 1;
    const inbound = telemetry?.inbound.metrics;
    const outbound = telemetry?.outbound.metrics;
    const before = this.overrides;
    this.overrides = { ...(inbound && { inbound }), ...(outbound && { outbound }) };
    if (JSON.stringify(before) === JSON.stringify(this.overrides)) return;
    for (const direction of ['inbound', 'outbound'] as const) {
      const said = this.overrides[direction];
      this.plans[direction] =
        said === undefined ? standardPlan : planMetrics(said, this.options.compileCel);
    }
    // Counts of labels that nobody wants any more would stay on the page for ever.
    for (const table of [this.http, this.grpc, this.tcp]) table.clear();
    this.epoch += 1;
  }

  /** What labels of a direction want kept of answers. */
  wanted(direction: Direction): WantedOfAnswers {
    return wantedBy(this.plans[direction]);
  }

  /** Counts one finished exchange. */
  exchange(x: Exchange): void {
    const slot = slotOf(x.downstream);
    if (slot.epoch !== this.epoch) {
      slot.series.length = 0;
      slot.epoch = this.epoch;
    }
    const { flags, messages } = x;
    const series = this.known(x, slot, flags) ?? this.resolve(x, slot, flags);
    const { bases } = series;
    for (let i = 0; i < bases.length; i++) this.observe(bases[i] ?? 0, x);
    if (messages !== null) {
      for (const base of series.messageBases) this.countMessages(base, messages);
    }
    if (series.tagged !== null) this.observeTagged(x, series.tagged);
    if (x.verdict !== null) this.decisions.count(slot, x.verdict);
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    this.refused.set(refusal.transport, (this.refused.get(refusal.transport) ?? 0) + 1);
  }

  tcpOpened(session: TcpSession): void {
    this.sessions.set(session, { sent: 0, received: 0 });
    this.addTcp(session, '-', tcpCells.opened, 1);
  }

  tcpClosed(session: TcpSession): void {
    this.countBytes(session);
    this.sessions.delete(session);
    this.addTcp(session, session.flag, tcpCells.closed, 1);
    if (session.verdict !== null) this.decisions.add(session.verdict);
  }

  /** Brings the byte counts of sessions that are still open up to date. Called at each scrape. */
  countOpenSessions(): void {
    for (const session of this.sessions.keys()) this.countBytes(session);
  }

  private observe(base: number, x: Exchange): void {
    const { http } = this;
    const durationMs = x.finishedAtMs - x.startedAtMs;
    const cell = http.observe(base + httpCells.durationMs, durationMs);
    http.observe(base + httpCells.requestBytes, x.requestBodyBytes);
    http.observe(base + httpCells.responseBytes, x.responseBodyBytes);
    const { trace } = x;
    if (trace !== null && trace instanceof Trace && trace.sampled) {
      const epochMs = this.options.clock.epochMs(x.finishedAtMs);
      http.exemplify(cell, durationMs, trace.traceId, epochMs);
    }
  }

  private countMessages(base: number, { request, response }: GrpcMessages): void {
    this.grpc.add(base + grpcCells.request, request.count);
    this.grpc.add(base + grpcCells.response, response.count);
  }

  /** Groups whose labels have values of the call itself are looked up each time. */
  private observeTagged(x: Exchange, { labels, parties, owner }: TaggedLabels): void {
    const plan = this.plans[x.downstream.direction];
    for (const group of plan.http) {
      if (group.set.length > 0) this.observe(find(this.http, group, labels, x, owner), x);
    }
    if (x.messages === null) return;
    for (const group of plan.grpc) {
      if (group.set.length === 0) continue;
      this.countMessages(find(this.grpc, group, parties, x, owner), x.messages);
    }
  }

  private known(x: Exchange, slot: ConnectionSlot, flags: string): ResolvedSeries | null {
    for (const series of slot.series) {
      if (matches(series, x, slot, flags)) return series;
    }
    return null;
  }

  private resolve(x: Exchange, slot: ConnectionSlot, flags: string): ResolvedSeries {
    const { service, endpoint, status, grpcStatus, downstream } = x;
    const source = this.ends.source(downstream, slot);
    const owner = ownerOf(downstream, source);
    const place = placeOf(x);
    const grpc = x.messages !== null;
    const parties = this.ends.labels(downstream, source, { endpoint, service, place });
    const labels = { ...parties, ...callLabels(x, flags, grpc) };
    const plan = this.plans[downstream.direction];
    const groups = plan.http.filter(isFixed);
    const bases = groups.map((group) => find(this.http, group, labels, null, owner));
    const messageBases = grpc
      ? plan.grpc.filter(isFixed).map((group) => find(this.grpc, group, parties, null, owner))
      : [];
    const fixed = plan.http.every(isFixed) && plan.grpc.every(isFixed);
    const tagged = fixed ? null : { labels, parties, owner };
    const found = { source, service, endpoint, status, flags, grpc, grpcStatus, place };
    const series = { ...found, bases, messageBases, tagged };
    slot.series.unshift(series);
    if (slot.series.length > seriesPerConnection) slot.series.pop();
    return series;
  }

  private addTcp(session: TcpSession, flags: string, cell: number, amount: number): void {
    const { downstream, endpoint, service } = session;
    const source = this.ends.source(downstream, null);
    const place = service === null ? 'PassthroughCluster' : 'service';
    const parties = this.ends.labels(downstream, source, { endpoint, service, place });
    const labels = { ...parties, ...tcpLabels(downstream, flags) };
    for (const group of this.plans[downstream.direction].tcp) {
      const base = find(this.tcp, group, labels, session, ownerOf(downstream, source));
      this.tcp.add(base + cell, amount);
    }
  }

  private countBytes(session: TcpSession): void {
    const counted = this.sessions.get(session);
    if (counted === undefined) return;
    this.addTcp(session, '-', tcpCells.sentBytes, session.sentBytes - counted.sent);
    this.addTcp(session, '-', tcpCells.receivedBytes, session.receivedBytes - counted.received);
    counted.sent = session.sentBytes;
    counted.received = session.receivedBytes;
  }
}

const seriesPerConnection = 16;

function find(
  table: SeriesTable,
  group: MetricGroup,
  standard: SeriesLabels,
  of: CelSubject | null,
  owner: string,
): number {
  const labels = labelsIn(group, standard, of);
  // Values of a call may have any character; the standard ones have no line feed.
  const values = Object.values(labels);
  const text = group.set.length === 0 ? values.join('\n') : JSON.stringify(values);
  return table.find(`${group.shown}\n${text}`, owner, () => ({ labels, shown: group.shown }));
}

function isFixed({ set }: MetricGroup): boolean {
  return set.length === 0;
}

/** Inbound, a caller makes series necessary; outbound, the workload itself does. */
function ownerOf({ direction }: Connection, source: WorkloadLabels): string {
  return direction === 'inbound' ? source.principal : '';
}

function matches(
  series: ResolvedSeries,
  x: Exchange,
  slot: ConnectionSlot,
  flags: string,
): boolean {
  return (
    series.status === x.status &&
    series.service === x.service &&
    series.endpoint === x.endpoint &&
    series.flags === flags &&
    series.grpcStatus === x.grpcStatus &&
    series.grpc === (x.messages !== null) &&
    (slot.peer === null || series.source === slot.peer) &&
    (x.service !== null || series.place === placeOf(x))
  );
}
