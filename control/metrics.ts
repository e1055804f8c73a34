// What control counts, for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface ControlMetrics {
  pushed(kind: 'snapshot' | 'delta', bytes: number): void;
  /** @param lagMs from change to ack; null where it does not say anything about lag */
  acked(lagMs: number | null): void;
  nacked(): void;
  refused(code: string): void;
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
  const lag = new Histogram({
    name: 'selvage_control_lag_seconds',
    help: 'From noticing a change to the acknowledgement of a sidecar that enforces it.',
    buckets: lagBuckets,
    registers,
  });
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
  return {
    pushed(kind, bytes) {
      pushes.inc({ kind });
      pushedBytes.inc({ kind }, bytes);
    },
    acked(lagMs) {
      acks.inc();
      if (lagMs !== null) lag.observe(lagMs / 1000);
    },
    nacked: () => nacks.inc(),
    refused: (code) => refusals.inc({ code }),
    render: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}
