// Puts metrics, access log and tracing together as the one Telemetry that listeners report to.
import type { Snapshot } from '#api/snapshot.ts';
import type { TelemetrySettings } from '#api/telemetry.ts';
import type { Workload } from '#api/workload.ts';

import type { Exchange, ResponseView } from '../exchange.ts';
import { newFailureId } from '../failure-id.ts';
import { Observation } from '../observe/observation.ts';
import { GrpcMessages } from '../wire/grpc-messages.ts';
import { isGrpc } from '../wire/reply.ts';
import { AccessLogs } from './access-log.ts';
import { writePage, type Exposition, type Gauge, type PageFormat } from './exposition.ts';
import { readGauge, type Family } from './families.ts';
import type { CompileCel } from './metric-plan.ts';
import { Metrics } from './metrics.ts';
import { keepAnswer, nothingWanted, wantedBoth, type WantedOfAnswers } from './kept-answer.ts';
import { Exporters } from './otlp/exporters.ts';
import type { MeshWay } from './otlp/sender.ts';
import { PeerExchange } from './peer-exchange.ts';
import { standardFamilies } from './standard-families.ts';
import { Tracer } from './tracing/tracer.ts';
import type { ConnectionRefusal, ReasonSource, TcpSession, Telemetry } from './types.ts';
import { WallClock } from './wall-clock.ts';
import type { WorkloadLabels } from './workload-labels.ts';

export interface TelemetryOptions {
  workload: Workload;
  /** Own SPIFFE ID; '' before there is one. */
  identity: () => string;
  /** Istio's cluster ID; `Kubernetes` by default, as Istio's. */
  cluster?: string;
  /** '' switches the access log off, but for those of Telemetry resources. */
  accessLog: string;
  accessLogFormat: 'text' | 'json';
  /** It is written whatever Telemetry resources say. */
  accessLogKept?: boolean;
  /** Null where no policies are known; `why` is then the verdict's details. */
  reasons: ReasonSource | null;
  /** '': only providers of the mesh get spans. Without one of either, trace headers pass untouched. */
  otlpEndpoint: string;
  /** 0 to 1. */
  traceSampling: number;
  tracing?: TracingParts;
  seriesMax?: number;
  /** For what Telemetry resources say of labels; left out: such labels are `unknown`. */
  compileCel?: CompileCel;
  /** Further numbers for /stats/prometheus. */
  gauges?: readonly Gauge[];
  warn: (message: string) => void;
}

/** What tracing knows of the process around it. */
export interface TracingParts {
  /** Istio's node ID. */
  node: string;
  meshId: string;
  /** Calls have a trace also where spans go nowhere. */
  withoutSink: boolean;
  /** Callers that may have their calls traced by a header. */
  mayDebug: (identity: string) => boolean;
  environment: (name: string) => string | undefined;
  meshWay: MeshWay;
}

/** Telemetry with what the process around it needs. */
export interface RunningTelemetry extends Telemetry {
  /** What is remembered and shown of calls. */
  readonly observation: Observation;
  /** A snapshot came in force. Called before any call is judged by it. */
  apply(snapshot: Snapshot): void;
  /** Sends the spans that are queued, while there are connections to send them by. No more are taken. */
  closeSpans(deadlineMs: number): Promise<void>;
  /** What is counted, as a page. */
  scrape(format?: PageFormat): Exposition;
  /** The same as data, for a page of several workers. */
  collect(): Family[];
  /** After a log rotation (SIGHUP). */
  reopenLog(): void;
  /** Writes out what is held. Waits at most `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

export function createTelemetry(options: TelemetryOptions): RunningTelemetry {
  const clock = new WallClock();
  const { workload, identity, warn, tracing = noTracingParts } = options;
  const cluster = options.cluster ?? 'Kubernetes';
  const seriesMax = options.seriesMax ?? 1000;
  const compileCel = options.compileCel ?? noCel;
  const metrics = new Metrics({ workload, identity, cluster, seriesMax, clock, compileCel });
  const peers = new PeerExchange(() => metrics.ends.self());
  const logs = new AccessLogs({
    path: options.accessLog,
    format: options.accessLogFormat,
    kept: options.accessLogKept ?? false,
    reasons: options.reasons,
    clock,
    warn,
  });
  const exporters = new Exporters({
    endpoint: options.otlpEndpoint,
    resource: resourceOf(workload, cluster),
    meshWay: tracing.meshWay,
    warn,
  });
  const self = (): WorkloadLabels => metrics.ends.self();
  const tracer = new Tracer({
    ratio: options.traceSampling,
    clock,
    owner: { labels: self, node: tracing.node, meshId: tracing.meshId },
    reasons: options.reasons,
    withoutSink: tracing.withoutSink,
    mayDebug: tracing.mayDebug,
    environment: tracing.environment,
    sinksFor: (wanted) => exporters.use(wanted),
    warn,
  });
  const gauges = [...ownGauges(metrics, logs, exporters), ...(options.gauges ?? [])];
  const observation = new Observation({ self, reasons: options.reasons, clock });
  return new Composed(metrics, peers, logs, tracer, exporters, gauges, observation);
}

const noCel: CompileCel = () => ({ evaluate: () => undefined, wanted: nothingWanted });

const noTracingParts: TracingParts = {
  node: '',
  meshId: '',
  withoutSink: false,
  mayDebug: () => false,
  environment: () => undefined,
  meshWay: () => null,
};

class Composed implements RunningTelemetry {
  readonly observation: Observation;
  private readonly metrics: Metrics;
  private readonly peers: PeerExchange;
  private readonly logs: AccessLogs;
  private readonly tracer: Tracer;
  private readonly exporters: Exporters;
  private readonly gauges: readonly Gauge[];
  private said: TelemetrySettings | undefined;
  /** What lines, spans and labels will say of answers is kept while these are there. */
  private wanted = { inbound: nothingWanted, outbound: nothingWanted };

  constructor(
    metrics: Metrics,
    peers: PeerExchange,
    logs: AccessLogs,
    tracer: Tracer,
    exporters: Exporters,
    gauges: readonly Gauge[],
    observation: Observation,
  ) {
    this.observation = observation;
    this.metrics = metrics;
    this.peers = peers;
    this.logs = logs;
    this.tracer = tracer;
    this.exporters = exporters;
    this.gauges = gauges;
  }

  begin(x: Exchange): void {
    this.peers.begin(x);
    if (x.protocol !== 'HTTP/1.1' && isGrpc(x)) x.messages = new GrpcMessages();
    this.tracer.begin(x);
  }

  forwarding(x: Exchange): void {
    this.peers.forwarding(x);
  }

  respond(x: Exchange, response: ResponseView): void {
    const wanted = this.wanted[x.downstream.direction];
    if (wanted !== nothingWanted) keepAnswer(x, response, wanted);
  }

  end(x: Exchange): void {
    const { observation } = this;
    if (x.failure !== null) observation.name(x);
    this.metrics.exchange(x);
    observation.edges.exchange(x);
    this.logs.exchange(x);
    if (x.failure !== null || observation.taps.on) observation.exchange(x);
    if (x.trace !== null) this.tracer.end(x);
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    const named = { ...refusal, id: newFailureId() };
    this.metrics.connectionRefused(named);
    this.logs.connectionRefused(named);
    this.observation.connectionRefused(named);
  }

  tcpOpened(session: TcpSession): void {
    this.metrics.tcpOpened(session);
    this.observation.edges.tcpOpened(session);
  }

  tcpClosed(session: TcpSession): void {
    const { observation } = this;
    observation.nameSession(session);
    this.metrics.tcpClosed(session);
    observation.edges.tcpClosed(session);
    this.logs.tcpClosed(session);
    if (session.id !== '' || observation.taps.on) observation.tcpClosed(session);
    this.tracer.tcpClosed(session);
  }

  private wantedOf(direction: 'inbound' | 'outbound'): WantedOfAnswers {
    const { logs, tracer, metrics } = this;
    const all = [logs.wanted(direction), tracer.wanted(direction), metrics.wanted(direction)];
    return all.reduce(wantedBoth);
  }

  apply(snapshot: Snapshot): void {
    this.metrics.apply(snapshot);
    const { telemetry } = snapshot;
    if (telemetry === this.said) return;
    this.said = telemetry;
    this.logs.configure(telemetry);
    this.tracer.configure(telemetry);
    this.wanted = { inbound: this.wantedOf('inbound'), outbound: this.wantedOf('outbound') };
  }

  scrape(format: PageFormat = 'text'): Exposition {
    return writePage(this.collect(), format);
  }

  collect(): Family[] {
    return [...standardFamilies(this.metrics), ...this.gauges.map(readGauge)];
  }

  reopenLog(): void {
    this.logs.reopen();
  }

  closeSpans(deadlineMs: number): Promise<void> {
    return this.exporters.close(deadlineMs);
  }

  async close(deadlineMs: number): Promise<void> {
    await Promise.all([this.logs.close(deadlineMs), this.exporters.close(deadlineMs)]);
  }
}

function ownGauges(metrics: Metrics, logs: AccessLogs, exporters: Exporters): Gauge[] {
  return [
    {
      name: 'selvage_connections_refused_total',
      help: 'Connections closed before they carried anything, by how far they came.',
      type: 'counter',
      read: () =>
        [...metrics.refused].map(([transport, value]) => ({ labels: { transport }, value })),
    },
    {
      name: 'selvage_policy_decisions_total',
      help: 'Requests and connections by the rule that decided; without a policy none did.',
      type: 'counter',
      read: () => [...metrics.decisions.read()],
    },
    {
      name: 'selvage_access_log_dropped_total',
      help: 'Access log lines lost to a slow or broken sink.',
      type: 'counter',
      read: () => [{ labels: {}, value: logs.dropped }],
    },
    {
      name: 'selvage_spans_total',
      help: 'Sampled spans by what became of them.',
      type: 'counter',
      read: () => [
        { labels: { outcome: 'exported' }, value: exporters.exported },
        { labels: { outcome: 'dropped' }, value: exporters.dropped },
      ],
    },
  ];
}

/** OpenTelemetry's resource conventions; Istio's service name is `<canonical service>.<namespace>`. */
function resourceOf(workload: Workload, cluster: string): Record<string, string> {
  const service = workload.labels['app'] || workload.name;
  return {
    'service.name': `${service}.${workload.namespace}`,
    'service.namespace': workload.namespace,
    'k8s.namespace.name': workload.namespace,
    'k8s.deployment.name': workload.name,
    'k8s.cluster.name': cluster,
  };
}
