// What the injector counts, for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface InjectorMetrics {
  /** @param outcome injected, annotated, none, allowed, refused, error */
  reviewed(webhook: 'inject' | 'validate', outcome: string, seconds: number): void;
  /** A caBundle was written, or could not be. */
  bundleWritten(outcome: 'written' | 'failed'): void;
  /** The page at /stats/prometheus. */
  render(): Promise<{ type: string; body: string }>;
}

const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

/** @param certificateNotAfterMs read at each scrape; 0 before the first certificate */
export function createMetrics(certificateNotAfterMs: () => number): InjectorMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const reviews = new Counter({
    name: 'selvage_injector_reviews_total',
    help: 'Admission reviews, by webhook and what became of them.',
    labelNames: ['webhook', 'outcome'],
    registers,
  });
  for (const outcome of ['injected', 'refused']) reviews.inc({ webhook: 'inject', outcome }, 0);
  reviews.inc({ webhook: 'validate', outcome: 'refused' }, 0);
  const duration = new Histogram({
    name: 'selvage_injector_review_duration_seconds',
    help: 'Time to judge one review, its body read.',
    labelNames: ['webhook'],
    buckets: durationBuckets,
    registers,
  });
  const bundles = new Counter({
    name: 'selvage_injector_ca_bundle_writes_total',
    help: 'Times that the caBundle of a webhook configuration was brought up to date.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['written', 'failed']) bundles.inc({ outcome }, 0);
  const expiry: Gauge = new Gauge({
    name: 'selvage_injector_certificate_expiry_timestamp_seconds',
    help: 'When the serving certificate expires.',
    registers,
    collect: () => expiry.set(certificateNotAfterMs() / 1000),
  });
  return {
    reviewed(webhook, outcome, seconds) {
      reviews.inc({ webhook, outcome });
      duration.observe({ webhook }, seconds);
    },
    bundleWritten: (outcome) => bundles.inc({ outcome }),
    render: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}
