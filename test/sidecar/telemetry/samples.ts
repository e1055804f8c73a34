// Telemetry of one workload, what it is told, and what its page says.
import type { Snapshot } from '#api/snapshot.ts';
import type { MetricOverride, TelemetrySettings } from '#api/telemetry.ts';
import type { PageFormat } from '#sidecar/telemetry/exposition.ts';
import {
  createTelemetry,
  type RunningTelemetry,
  type TelemetryOptions,
} from '#sidecar/telemetry/telemetry.ts';
import { snapshotOf } from '#test/sidecar/rig.ts';

import { service, workload } from './exchanges.ts';

export function telemetry(changes: Partial<TelemetryOptions> = {}): RunningTelemetry {
  return createTelemetry({
    workload,
    identity: () => 'spiffe://cluster.local/ns/billing/sa/payments',
    accessLog: '',
    accessLogFormat: 'text',
    reasons: null,
    otlpEndpoint: '',
    traceSampling: 0,
    seriesMax: 100,
    warn: () => {},
    ...changes,
  });
}

export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const ports = [{ port: 9090, name: 'metrics', protocol: 'http' as const }];
  return { ...snapshotOf({}), workload: { ...workload, ports }, services: [service], ...changes };
}

/** What a Telemetry resource says of both directions. */
export function overrides(metrics: readonly MetricOverride[]): TelemetrySettings {
  return { inbound: { metrics }, outbound: { metrics } };
}

/** The samples of a metric: label text -> value. */
export function samples(
  t: RunningTelemetry,
  name: string,
  format: PageFormat = 'text',
): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of t.scrape(format).body.split('\n')) {
    const match = /^([a-z_]+)(?:\{(.*?)\})? ([^\s#]+)(?: #.*)?$/.exec(line);
    if (match !== null && match[1] === name) found.set(match[2] ?? '', Number(match[3]));
  }
  return found;
}

export function labels(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]),
  );
}
