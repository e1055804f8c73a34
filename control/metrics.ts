// What control counts, for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import packageJson from '../package.json' with { type: 'json' };

export interface ControlMetrics {
  pushed(kind: 'snapshot' | 'delta', bytes: number): void;
  /** @param lagMs from change to ack; null where it does not say anything about lag */
  acked(lagMs: number | null): void;
  nacked(): void;
  refused(code: string): void;
  /** Snapshots were built and offered. @param changes what was different, one word each */
  published(seconds: number, changes: readonly string[]): void;
  /** The page at /stats/prometheus. */
  render(): Promise<{ type: string; body: string }>;
}

/** What is read at each scrape. */
export interface MetricSources {
  readonly sidecars: () => number;
  /** Those that do not enforce what they should. */
  readonly sidecarsBehind: () => number;
  readonly revision: () => number;
  readonly problems: (severity: 'error' | 'warning') => number;
  readonly certificateNotAfterMs: () => number;
}

/** For Istio's dashboards; the version is ours. */
const tag = `selvage-${packageJson.version}`;

const publishBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const lagBuckets = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60];

export function createMetrics(sources: MetricSources): ControlMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name: `selvage_control_${name}`, help, labelNames, registers });
  const pushes = counter('pushes_total', 'Updates sent to sidecars.', 'kind');
  const pushedBytes = counter('pushed_bytes_total', 'Bytes of updates sent.', 'kind');
  const acks = counter('acks_total', 'Updates that sidecars put in force.');
  const nacks = counter('nacks_total', 'Updates that sidecars refused.');
  const refusals = counter('refusals_total', 'Streams refused, by code.', 'code');
  for (const kind of ['snapshot', 'delta']) pushes.inc({ kind }, 0);
  for (const one of [acks, nacks]) one.inc(0);
  const changes = counter('changes_total', 'Resources and problems that came or went.', 'what');
  for (const what of ['added', 'changed', 'removed', 'problem', 'cured']) changes.inc({ what }, 0);
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, registers });
  const lagHelp = 'From noticing a change to the acknowledgement of a sidecar that enforces it.';
  const lag = histogram('selvage_control_lag_seconds', lagHelp, lagBuckets);
  const publish = histogram(
    'selvage_control_publish_duration_seconds',
    'Time to build the snapshots of a change and to offer them to all sidecars.',
    publishBuckets,
  );
  const istio = istioNames(registers, sources);
  readGauges(registers, sources);
  return {
    pushed(kind, bytes) {
      pushes.inc({ kind });
      pushedBytes.inc({ kind }, bytes);
      istio.pushes.inc({ type: kind });
    },
    acked(lagMs) {
      acks.inc();
      if (lagMs === null) return;
      lag.observe(lagMs / 1000);
      istio.convergence.observe(lagMs / 1000);
    },
    nacked() {
      nacks.inc();
      istio.rejects.inc();
    },
    published(seconds, whats) {
      publish.observe(seconds);
      for (const what of whats) changes.inc({ what });
    },
    refused: (code) => refusals.inc({ code }),
    render: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}

function readGauges(registers: Registry[], sources: MetricSources): void {
  const gauge = (name: string, help: string, read: () => number): Gauge => {
    const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(read()) });
    return made;
  };
  gauge('selvage_control_sidecars', 'Sidecars connected.', sources.sidecars);
  gauge(
    'selvage_control_sidecars_behind',
    'Sidecars connected that do not enforce the newest snapshot.',
    sources.sidecarsBehind,
  );
  gauge('selvage_control_revision', 'Revision of the resources in force.', sources.revision);
  gauge(
    'selvage_control_certificate_expiry_timestamp_seconds',
    "When control's own certificate expires.",
    () => sources.certificateNotAfterMs() / 1000,
  );
  const problems: Gauge<'severity'> = new Gauge({
    name: 'selvage_control_problems',
    help: 'Problems of the resources in force.',
    labelNames: ['severity'],
    registers,
    collect: () => {
      for (const severity of ['error', 'warning'] as const) {
        problems.set({ severity }, sources.problems(severity));
      }
    },
  });
}

/** What Istio's dashboards and Kiali ask of istiod, where ours means the same. */
function istioNames(registers: Registry[], sources: MetricSources) {
  const build = new Gauge({
    name: 'istio_build',
    help: 'Constant 1, labelled by the version of this software.',
    labelNames: ['component', 'tag'],
    registers,
  });
  build.set({ component: 'pilot', tag }, 1);
  const connected: Gauge = new Gauge({
    name: 'pilot_xds',
    help: 'Sidecars connected, as Istio calls them.',
    registers,
    collect: () => connected.set(sources.sidecars()),
  });
  const pushes = new Counter({
    name: 'pilot_xds_pushes',
    help: 'Updates sent to sidecars, as Istio calls them.',
    labelNames: ['type'],
    registers,
  });
  for (const type of ['snapshot', 'delta']) pushes.inc({ type }, 0);
  const rejects = new Counter({
    name: 'pilot_total_xds_rejects',
    help: 'Updates that sidecars refused, as Istio calls them.',
    registers,
  });
  const convergence = new Histogram({
    name: 'pilot_proxy_convergence_time',
    help: 'selvage_control_lag_seconds, as Istio calls it.',
    buckets: lagBuckets,
    registers,
  });
  return { pushes, rejects, convergence };
}
