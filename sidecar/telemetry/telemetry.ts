// Puts metrics, access log and tracing together as the one Telemetry that listeners report to.
import type { Snapshot } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import type { Exchange } from '../exchange.ts';
import { newFailureId } from '../failure-id.ts';
import { Observation } from '../observe/observation.ts';
import { GrpcMessages } from '../wire/grpc-messages.ts';
import { isGrpc } from '../wire/reply.ts';
import { AccessLog } from './access-log.ts';
import { writePage, type Exposition, type Gauge, type PageFormat } from './exposition.ts';
import { readGauge, type Family } from './families.ts';
import type { CompileCel } from './metric-plan.ts';
import { Metrics } from './metrics.ts';
import { OtlpExporter } from './otlp.ts';
import { PeerExchange } from './peer-exchange.ts';
import { standardFamilies } from './standard-families.ts';
import { Tracer } from './trace.ts';
import type { ConnectionRefusal, ReasonSource, TcpSession, Telemetry } from './types.ts';
import { WallClock } from './wall-clock.ts';
import type { WorkloadLabels } from './workload-labels.ts';

export interface TelemetryOptions {
  workload: Workload;
  /** Own SPIFFE ID; '' before there is one. */
  identity: () => string;
  /** Istio's cluster ID; `Kubernetes` by default, as Istio's. */
  cluster?: string;
  /** '' switches the access log off. */
  accessLog: string;
  accessLogFormat: 'text' | 'json';
  /** Null where no policies are known; `why` is then the verdict's details. */
  reasons: ReasonSource | null;
  /** '' switches tracing off; trace headers then pass untouched. */
  otlpEndpoint: string;
  /** 0 to 1. */
  traceSampling: number;
  seriesMax?: number;
  /** For what Telemetry resources say of labels; left out: such labels are `unknown`. */
  compileCel?: CompileCel;
  /** Further numbers for /stats/prometheus. */
  gauges?: readonly Gauge[];
  warn: (message: string) => void;
}

/** Telemetry with what the process around it needs. */
export interface RunningTelemetry extends Telemetry {
  /** What is remembered and shown of calls. */
  readonly observation: Observation;
  /** A snapshot came in force. Called before any call is judged by it. */
  apply(snapshot: Snapshot): void;
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
  const { workload, identity, warn } = options;
  const cluster = options.cluster ?? 'Kubernetes';
  const seriesMax = options.seriesMax ?? 1000;
  const compileCel = options.compileCel ?? (() => ({ evaluate: () => undefined }));
  const metrics = new Metrics({ workload, identity, cluster, seriesMax, clock, compileCel });
  const peers = new PeerExchange(() => metrics.ends.self());
  const log =
    options.accessLog === ''
      ? null
      : new AccessLog({
          path: options.accessLog,
          format: options.accessLogFormat,
          reasons: options.reasons,
          clock,
          warn,
        });
  const otlp =
    options.otlpEndpoint === ''
      ? null
      : new OtlpExporter({
          endpoint: options.otlpEndpoint,
          resource: resourceOf(workload, cluster),
          warn,
        });
  const tracer =
    otlp === null
      ? null
      : new Tracer({ ratio: options.traceSampling, clock, emit: (span) => otlp.push(span) });
  const gauges = [...ownGauges(metrics, log, otlp), ...(options.gauges ?? [])];
  const self = (): WorkloadLabels => metrics.ends.self();
  const observation = new Observation({ self, reasons: options.reasons, clock });
  return new Composed(metrics, peers, log, tracer, otlp, gauges, observation);
}

class Composed implements RunningTelemetry {
  readonly observation: Observation;
  private readonly metrics: Metrics;
  private readonly peers: PeerExchange;
  private readonly log: AccessLog | null;
  private readonly tracer: Tracer | null;
  private readonly otlp: OtlpExporter | null;
  private readonly gauges: readonly Gauge[];

  constructor(
    metrics: Metrics,
    peers: PeerExchange,
    log: AccessLog | null,
    tracer: Tracer | null,
    otlp: OtlpExporter | null,
    gauges: readonly Gauge[],
    observation: Observation,
  ) {
    this.observation = observation;
    this.metrics = metrics;
    this.peers = peers;
    this.log = log;
    this.tracer = tracer;
    this.otlp = otlp;
    this.gauges = gauges;
  }

  begin(x: Exchange): void {
    this.peers.begin(x);
    if (x.protocol !== 'HTTP/1.1' && isGrpc(x)) x.messages = new GrpcMessages();
    if (this.tracer !== null) this.tracer.begin(x);
  }

  forwarding(x: Exchange): void {
    this.peers.forwarding(x);
  }

  end(x: Exchange): void {
    const { observation } = this;
    if (x.failure !== null) observation.name(x);
    this.metrics.exchange(x);
    observation.edges.exchange(x);
    if (this.log !== null) this.log.exchange(x);
    if (x.failure !== null || observation.taps.on) observation.exchange(x);
    if (this.tracer !== null && x.trace !== null) this.tracer.end(x);
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    const named = { ...refusal, id: newFailureId() };
    this.metrics.connectionRefused(named);
    this.log?.connectionRefused(named);
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
    this.log?.tcpClosed(session);
    if (session.id !== '' || observation.taps.on) observation.tcpClosed(session);
  }

  apply(snapshot: Snapshot): void {
    this.metrics.apply(snapshot);
  }

  scrape(format: PageFormat = 'text'): Exposition {
    return writePage(this.collect(), format);
  }

  collect(): Family[] {
    return [...standardFamilies(this.metrics), ...this.gauges.map(readGauge)];
  }

  reopenLog(): void {
    this.log?.sink.reopen();
  }

  async close(deadlineMs: number): Promise<void> {
    await Promise.all([this.log?.sink.close(deadlineMs), this.otlp?.close(deadlineMs)]);
  }
}

function ownGauges(metrics: Metrics, log: AccessLog | null, otlp: OtlpExporter | null): Gauge[] {
  const gauges: Gauge[] = [
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
  ];
  if (log !== null) {
    gauges.push({
      name: 'selvage_access_log_dropped_total',
      help: 'Access log lines lost to a slow or broken sink.',
      type: 'counter',
      read: () => [{ labels: {}, value: log.sink.dropped }],
    });
  }
  if (otlp !== null) {
    gauges.push({
      name: 'selvage_spans_total',
      help: 'Sampled spans by what became of them.',
      type: 'counter',
      read: () => [
        { labels: { outcome: 'exported' }, value: otlp.exported },
        { labels: { outcome: 'dropped' }, value: otlp.dropped },
      ],
    });
  }
  return gauges;
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
