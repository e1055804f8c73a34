// What the injector counts, for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Review {
  readonly webhook: 'inject' | 'validate';
  /** `none`: there was nothing to do. */
  readonly outcome: Outcome;
  /** In a few words; '' without one. */
  readonly reason: string;
  readonly seconds: number;
}

export type Outcome = 'injected' | 'annotated' | 'none' | 'allowed' | 'refused' | 'error';

export interface InjectorMetrics {
  reviewed(review: Review): void;
  /** A caBundle was written, or could not be. */
  bundleWritten(outcome: 'written' | 'failed'): void;
  /** The page at /stats/prometheus. */
  render(): Promise<{ type: string; body: string }>;
}

/** Reasons told apart, at most; they may have names in them that others choose. */
const reasonsMax = 30;

const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

/** @param certificateNotAfterMs read at each scrape; 0 before the first certificate */
export function createMetrics(certificateNotAfterMs: () => number): InjectorMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const reviews = new Counter({
    name: 'selvage_injector_reviews_total',
    help: 'Admission reviews, by webhook and what became of them.',
    labelNames: ['webhook', 'outcome', 'reason'],
    registers,
  });
  const reason = '';
  for (const outcome of ['injected', 'error'] as const) {
    reviews.inc({ webhook: 'inject', outcome, reason }, 0);
  }
  for (const outcome of ['allowed', 'error'] as const) {
    reviews.inc({ webhook: 'validate', outcome, reason }, 0);
  }
  const reasons = new Set<string>();
  const duration = new Histogram({
    name: 'selvage_injector_review_duration_seconds',
    help: 'Time to judge one review, its body read.',
    labelNames: ['webhook', 'outcome'],
    buckets: durationBuckets,
    registers,
  });
  const istio = istioNames(registers);
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
    reviewed({ webhook, outcome, reason: told, seconds }) {
      const known = told === '' || reasons.has(told) || reasons.size < reasonsMax;
      if (known && told !== '') reasons.add(told);
      reviews.inc({ webhook, outcome, reason: known ? told : 'other' });
      duration.observe({ webhook, outcome }, seconds);
      istio[webhook][outcome === 'refused' || outcome === 'error' ? 'failed' : 'passed'].inc();
    },
    bundleWritten: (outcome) => bundles.inc({ outcome }),
    render: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}

/** What Istio's dashboard asks of istiod, where ours means the same. */
function istioNames(registers: Registry[]) {
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  return {
    inject: {
      passed: counter('sidecar_injection_success_total', 'Pods answered, as Istio calls them.'),
      failed: counter('sidecar_injection_failure_total', 'Pods refused, as Istio calls them.'),
    },
    validate: {
      passed: counter('galley_validation_passed', 'Resources let in, as Istio calls them.'),
      failed: counter('galley_validation_failed', 'Resources refused, as Istio calls them.'),
    },
  };
}
