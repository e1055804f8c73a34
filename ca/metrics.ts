// What the CA counts, for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { refusalCodes, type RefusalCode } from './refusal.ts';

export interface CaMetrics {
  issued(seconds: number): void;
  refused(code: RefusalCode): void;
  /** The page at /stats/prometheus. */
  render(): Promise<{ type: string; body: string }>;
}

/** What is read at each scrape. */
export interface MetricSources {
  /** Ends of what signs, ms since 1970. */
  readonly issuerNotAfterMs: () => number;
  /** Of the root of what signs. */
  readonly rootNotAfterMs: () => number;
  readonly servingNotAfterMs: () => number;
  readonly rootsTrusted: () => number;
}

const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

export function createMetrics(sources: MetricSources): CaMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const issued = new Counter({
    name: 'selvage_ca_certificates_issued_total',
    help: 'Certificates signed for workloads.',
    registers,
  });
  const refused = new Counter({
    name: 'selvage_ca_refusals_total',
    help: 'Requests refused, by the code of the refusal.',
    labelNames: ['code'],
    registers,
  });
  // A series that is there from the start lets `rate` see the first refusal.
  for (const code of refusalCodes) refused.inc({ code }, 0);
  const duration = new Histogram({
    name: 'selvage_ca_signing_duration_seconds',
    help: 'From the whole request to the signed certificate.',
    buckets: durationBuckets,
    registers,
  });
  const gauges: readonly (readonly [string, string, () => number])[] = [
    [
      'selvage_ca_issuer_expiry_timestamp_seconds',
      'When what signs now expires.',
      () => sources.issuerNotAfterMs() / 1000,
    ],
    [
      'selvage_ca_root_expiry_timestamp_seconds',
      'When the root of what signs now expires.',
      () => sources.rootNotAfterMs() / 1000,
    ],
    [
      'citadel_server_root_cert_expiry_timestamp',
      'selvage_ca_root_expiry_timestamp_seconds, as Istio calls it.',
      () => sources.rootNotAfterMs() / 1000,
    ],
    [
      'selvage_ca_serving_certificate_expiry_timestamp_seconds',
      "When the CA's own certificate expires.",
      () => sources.servingNotAfterMs() / 1000,
    ],
    ['selvage_ca_roots_trusted', 'Roots in the trust bundle.', () => sources.rootsTrusted()],
  ];
  for (const [name, help, read] of gauges) {
    const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(read()) });
  }
  return {
    issued(seconds) {
      issued.inc();
      duration.observe(seconds);
    },
    refused: (code) => refused.inc({ code }),
    render: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}
