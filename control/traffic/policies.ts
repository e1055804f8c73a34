// From Istio's TrafficPolicy to ours: subsets inherit part by part, ports replace, the mesh says the rest.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { SubsetSpec } from '#api/kinds/destination-rule.ts';
import type {
  ClientTlsSpec,
  OutlierDetectionSpec,
  TrafficPolicySpec,
} from '#api/kinds/traffic-policy.ts';
import type {
  OutlierDetection,
  SubsetPolicy,
  TrafficPolicy,
  UpstreamTlsPolicy,
} from '#api/traffic/destination.ts';

import { balancingOf, localityOf, warmupOf } from './balancing.ts';
import { millis } from './durations.ts';
import { poolOf } from './pools.ts';

/** What counts as a whole: a subset that says one of these takes nothing of it from its host. */
export type PolicyParts = Omit<TrafficPolicySpec, 'portLevelSettings'>;

/** What our own kinds add, to every part of a host. */
export type PolicyExtras = Pick<TrafficPolicy, 'breaker' | 'healthCheck'>;

export interface CompiledRule {
  readonly policy: TrafficPolicy;
  readonly ports: Readonly<Record<string, TrafficPolicy>>;
  readonly subsets: readonly SubsetPolicy[];
}

export function compileRule(
  trafficPolicy: TrafficPolicySpec | undefined,
  subsets: readonly SubsetSpec[],
  mesh: MeshConfig,
  extras: PolicyExtras,
): CompiledRule {
  const compile = (parts: PolicyParts): TrafficPolicy => compileParts(parts, mesh, extras);
  const byPort = (ports: readonly number[], subset?: TrafficPolicySpec): CompiledRule['ports'] =>
    Object.fromEntries(
      ports.map((port) => [port, compile(merge(merge({}, trafficPolicy, port), subset, port))]),
    );
  const own = portsOf(trafficPolicy);
  return {
    policy: compile(merge({}, trafficPolicy, null)),
    ports: byPort(own),
    subsets: subsets.map(({ name, labels, trafficPolicy: its }) => ({
      name,
      labels,
      policy: compile(merge(merge({}, trafficPolicy, null), its, null)),
      ports: byPort([...new Set([...own, ...portsOf(its)])], its),
    })),
  };
}

function portsOf(policy: TrafficPolicySpec | undefined): number[] {
  return (policy?.portLevelSettings ?? []).map(({ port }) => port?.number ?? 0);
}

/** @param port null: of every port that nothing is said of */
export function merge(
  base: PolicyParts,
  policy: TrafficPolicySpec | undefined,
  port: number | null,
): PolicyParts {
  if (policy === undefined) return base;
  const { portLevelSettings, ...own } = policy;
  const said = Object.entries(own).filter(([, part]) => part !== undefined);
  const merged: PolicyParts = { ...base, ...Object.fromEntries(said) };
  const level = portLevelSettings.find((one) => one.port?.number === port);
  if (level === undefined) return merged;
  const { loadBalancer, connectionPool, outlierDetection, tls } = level;
  // Istio: what a port does not say is the default, and not what is said of all ports.
  return { ...merged, loadBalancer, connectionPool, outlierDetection, tls };
}

function compileParts(parts: PolicyParts, mesh: MeshConfig, extras: PolicyExtras): TrafficPolicy {
  const { loadBalancer, outlierDetection, tls, tunnel, proxyProtocol, retryBudget } = parts;
  const balancing = balancingOf(loadBalancer);
  const locality = localityOf(loadBalancer, mesh, outlierDetection !== undefined);
  const warmup = warmupOf(loadBalancer);
  const pool = poolOf(parts.connectionPool, mesh);
  return {
    ...(balancing !== null && { balancing }),
    ...(locality !== null && { locality }),
    ...(warmup !== null && { warmup }),
    ...(pool !== null && { pool }),
    ...(outlierDetection !== undefined && { outlier: outlierOf(outlierDetection) }),
    ...(tls !== undefined && { tls: tlsOf(tls) }),
    ...(proxyProtocol !== undefined && {
      proxyProtocol: proxyProtocol.version === 'V2' ? ('v2' as const) : ('v1' as const),
    }),
    ...(tunnel !== undefined && {
      tunnel: {
        method: tunnel.protocol === 'POST' ? ('POST' as const) : ('CONNECT' as const),
        host: tunnel.targetHost,
        port: tunnel.targetPort,
      },
    }),
    ...(retryBudget !== undefined && {
      retryBudget: {
        percent: retryBudget.percent ?? 20,
        minConcurrency: retryBudget.minRetryConcurrency || 3,
        intervalMs: millis(retryBudget.budgetInterval) ?? 0,
      },
    }),
    ...extras,
  };
}

/** Envoy's defaults where Istio sets nothing; and of these Istio switches some off. */
function outlierOf(spec: OutlierDetectionSpec): OutlierDetection {
  const split = spec.splitExternalLocalOriginErrors;
  const statuses = spec.outlierDetectionHttpErrorCodes;
  return {
    consecutive5xx: spec.consecutive5xxErrors ?? 5,
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? 0,
    splitLocalOrigin: split,
    consecutiveLocalOrigin: split ? spec.consecutiveLocalOriginFailures || 5 : 0,
    intervalMs: millis(spec.interval) ?? 10_000,
    baseEjectionMs: millis(spec.baseEjectionTime) ?? 30_000,
    maxEjectionPercent: spec.maxEjectionPercent || 10,
    minHealthPercent: spec.minHealthPercent,
    ...(statuses.length > 0 && { statuses }),
  };
}

const tlsModes = {
  DISABLE: 'disable',
  SIMPLE: 'simple',
  MUTUAL: 'mutual',
  ISTIO_MUTUAL: 'mesh',
} as const;

function tlsOf(spec: ClientTlsSpec): UpstreamTlsPolicy {
  const texts = {
    certificateFile: spec.clientCertificate,
    keyFile: spec.privateKey,
    caFile: spec.caCertificates,
    crlFile: spec.caCrl,
    credentialName: spec.credentialName,
    sni: spec.sni,
  };
  const names = spec.subjectAltNames ?? [];
  return {
    mode: tlsModes[spec.mode],
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== '')),
    ...(names.length > 0 && { subjectAltNames: names }),
    ...(spec.insecureSkipVerify === true && { skipVerify: true }),
  };
}
