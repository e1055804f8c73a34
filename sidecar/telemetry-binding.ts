// Binds telemetry to this sidecar: its settings, its identity, and the reasons of its policies.
import { describe, explain } from '#policy/explain.ts';
import { principalTest } from '#policy/match/identity.ts';
import type { Explanation, Verdict } from '#policy/verdict.ts';
import type { Log } from '#runtime/log.ts';

import { compileCel } from './cel/compile.ts';
import type { InForce } from './in-force.ts';
import { limitGauges } from './limit/gauges.ts';
import type { SidecarSettings } from './settings.ts';
import type { Gauge } from './telemetry/exposition.ts';
import { environmentVariable } from './telemetry/settings.ts';
import {
  createTelemetry,
  type RunningTelemetry,
  type TracingParts,
} from './telemetry/telemetry.ts';
import type { ReasonSource } from './telemetry/types.ts';
import { providerWay } from './upstream/provider-way.ts';
import type { Upstreams } from './upstream/upstreams.ts';

export interface TelemetryBinding {
  readonly settings: SidecarSettings;
  readonly inForce: InForce;
  readonly upstreams: Upstreams;
  /** Own SPIFFE ID. */
  readonly identity: () => string;
  readonly log: Log;
  /** Numbers beside the standard metrics. */
  readonly gauges: readonly Gauge[];
}

/** Called with a snapshot in force: it says what the workload is labelled. */
export function bindTelemetry(binding: TelemetryBinding): RunningTelemetry {
  const { settings, inForce, identity, log, gauges } = binding;
  const snapshot = inForce.current()?.snapshot;
  if (snapshot === undefined) throw new Error('telemetry needs a snapshot in force');
  const { mesh, workload } = snapshot;
  // The setting of this process wins over the mesh's.
  const ofMesh = settings.accessLog === '';
  const meshFormat = mesh.accessLogEncoding === 'JSON' ? 'json' : 'text';
  const telemetry = createTelemetry({
    workload,
    identity,
    accessLog: ofMesh ? mesh.accessLogFile : settings.accessLog,
    accessLogFormat: ofMesh ? meshFormat : settings.accessLogFormat,
    accessLogKept: settings.accessLogKept,
    reasons: reasonsOf(inForce),
    otlpEndpoint: settings.otlpEndpoint,
    traceSampling: settings.traceSampling,
    tracing: tracingParts(binding, mesh.trustDomain),
    compileCel,
    gauges: [...gauges, ...limitGauges(() => inForce.current()?.limits ?? null)],
    warn: (message) => log.warn({}, message),
  });
  telemetry.apply(snapshot);
  inForce.onChange((enforced) => telemetry.apply(enforced.snapshot));
  return telemetry;
}

function tracingParts(binding: TelemetryBinding, meshId: string): TracingParts {
  const { settings, inForce, upstreams } = binding;
  const { namespace, pod, podIp, workload } = settings;
  const debuggers = settings.traceDebugIdentities;
  const domain = `${namespace}.svc.cluster.local`;
  return {
    node: `sidecar~${podIp || '127.0.0.1'}~${pod || workload}.${namespace}~${domain}`,
    meshId,
    withoutSink: settings.traceContext,
    mayDebug: debuggers.length === 0 ? () => false : principalTest(debuggers),
    environment: environmentVariable,
    meshWay: (host, port) => providerWay({ inForce, upstreams }, host, port),
  };
}

function reasonsOf(inForce: InForce): ReasonSource {
  return {
    describe(verdict, chain) {
      const policies = inForce.current()?.policies;
      return policies === undefined ? verdict.details : describe(policies[chain], verdict);
    },
    explain(x) {
      const { enforced, verdict } = x;
      if (enforced === null || verdict === null) return null;
      const { http } = enforced.policies;
      // The rules were never asked: the authorizer, or the lack of one, decided before them.
      if (verdict.decidedBy === 'CUSTOM') return unexplained(verdict, describe(http, verdict));
      return explain(http, x.downstream.facts, x.request);
    },
    explainTcp({ enforced, verdict, downstream }) {
      if (enforced === null || verdict === null) return null;
      const { tcp } = enforced.policies;
      if (verdict.decidedBy === 'CUSTOM') return unexplained(verdict, describe(tcp, verdict));
      return explain(tcp, downstream.facts, null);
    },
  };
}

function unexplained(verdict: Verdict, summary: string): Explanation {
  return { verdict, summary, at: null, nearest: null, audited: [], dryRun: [] };
}
