// What the process as a whole tells of itself: version, certificate, snapshot, control, and what it uses of the machine.
import type { Configuration } from '../configuration.ts';
import type { Identity } from '../identity/identity.ts';
import type { InForce } from '../in-force.ts';
import type { Gauge } from '../telemetry/exposition.ts';
import { readGauge, type Family } from '../telemetry/families.ts';
import { version } from '../version.ts';

export interface ProcessParts {
  readonly identity: Identity;
  readonly inForce: InForce;
  readonly configuration: Configuration;
}

/** @returns what is read at each scrape; application's own names (`process_…`) are left to it */
export function processFamilies(parts: ProcessParts): () => Family[] {
  let appliedAtSeconds = Date.now() / 1000;
  parts.inForce.onChange(() => (appliedAtSeconds = Date.now() / 1000));
  const gauges = [...ofConfiguration(parts, () => appliedAtSeconds), ...ofProcess];
  return () => gauges.map(readGauge);
}

function ofConfiguration(
  { identity, inForce, configuration }: ProcessParts,
  appliedAtSeconds: () => number,
): Gauge[] {
  return [
    {
      name: 'istio_build',
      help: 'Constant 1, labelled by the version of this software.',
      type: 'gauge',
      read: () => [{ labels: { component: 'proxy', tag: `selvage-${version}` }, value: 1 }],
    },
    one(
      'selvage_certificate_expiry_timestamp_seconds',
      'When the own certificate ends.',
      () => identity.current().notAfterMs / 1000,
    ),
    one(
      'selvage_snapshot_version',
      'Number of the snapshot in force.',
      () => inForce.current()?.snapshot.version ?? 0,
    ),
    one(
      'selvage_snapshot_applied_timestamp_seconds',
      'When the snapshot in force was put in force.',
      appliedAtSeconds,
    ),
    {
      name: 'selvage_control_connected',
      help: 'Whether the stream of control is open; not there for a sidecar without control.',
      type: 'gauge',
      read: () => {
        const state = configuration.state();
        return state === null ? [] : [{ labels: {}, value: state.connected ? 1 : 0 }];
      },
    },
  ];
}

const ofProcess: readonly Gauge[] = [
  one(
    'selvage_process_start_time_seconds',
    'When the process started.',
    () => performance.timeOrigin / 1000,
  ),
  one('selvage_process_resident_memory_bytes', 'Resident memory of the process.', () =>
    process.memoryUsage.rss(),
  ),
  {
    name: 'selvage_process_cpu_seconds_total',
    help: 'CPU time that the process has used.',
    type: 'counter',
    read: () => {
      const { user, system } = process.cpuUsage();
      return [{ labels: {}, value: (user + system) / 1e6 }];
    },
  },
];

function one(name: string, help: string, read: () => number): Gauge {
  return { name, help, type: 'gauge', read: () => [{ labels: {}, value: read() }] };
}
