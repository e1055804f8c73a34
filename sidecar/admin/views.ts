// What is in force, arranged for people: listeners, clusters, the snapshot without keys.
import type { PolicyResource } from '#api/snapshot.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Ports } from '../data-plane.ts';
import type { Enforced } from '../in-force.ts';
import type { SidecarSettings } from '../settings.ts';
import { findOriginal } from '../outbound/original-destination.ts';
import type { BreakerState } from '../upstream/breaker/breaker.ts';
import { type Member } from '../upstream/member.ts';
import type { EjectionEvent } from '../upstream/outlier/ejections.ts';
import type { Upstreams } from '../upstream/upstreams.ts';

interface Listened extends Ports {
  readonly settings: SidecarSettings;
}

/** One row for each port that is listened on. */
export function listenersOf(ports: Listened, enforced: Enforced | null): unknown {
  const { settings, inboundPorts, outboundPort, mappedPorts } = ports;
  const captured = capturedOf(ports);
  const inbound = settings.inbound.map(({ listen, port, application }, i) => ({
    direction: 'inbound',
    address: formatAddress(listen.host, inboundPorts[i] ?? listen.port),
    workloadPort: port,
    application: formatAddress(application.host, application.port),
    protocol: enforced?.policies.portProtocol(port) ?? null,
    mtls: enforced?.policies.mtls(port) ?? null,
  }));
  const mapped = settings.outboundPorts.map(({ listen, destination }, i) => {
    const found = enforced === null ? null : findOriginal(enforced.routes, destination);
    return {
      direction: 'outbound',
      address: formatAddress(listen.host, mappedPorts[i] ?? listen.port),
      destination: formatAddress(destination.host, destination.port),
      protocol: found === null || typeof found === 'string' ? found : found.port.protocol,
    };
  });
  if (settings.outbound === null) return [...captured, ...inbound, ...mapped];
  const address = formatAddress(settings.outbound.host, outboundPort);
  const proxy = { direction: 'outbound', address, protocol: 'http proxy' };
  return [...captured, ...inbound, proxy, ...mapped];
}

function capturedOf({ settings, capturedInboundPort, capturedOutboundPort }: Listened): object[] {
  if (settings.capture === 'explicit') return [];
  const { captureInbound, captureOutbound } = settings;
  const [inbound, outbound] = [
    formatAddress(captureInbound.host, capturedInboundPort),
    formatAddress(captureOutbound.host, capturedOutboundPort),
  ];
  return [
    { direction: 'inbound', address: inbound, protocol: 'redirected' },
    { direction: 'outbound', address: outbound, protocol: 'redirected' },
  ];
}

export interface ClusterView {
  readonly cluster: string;
  readonly protocol: string;
  readonly endpoints: readonly {
    readonly address: string;
    readonly identity: string | null;
    readonly workload: string;
    readonly connections: number;
    readonly lastError: string;
    /** Calls under way. */
    readonly active: number;
    /** `ejected`: calls to it failed; `failing`: its health checks do. Neither is called. */
    readonly health: 'healthy' | 'ejected' | 'failing';
  }[];
  /** Who was left out or came back lately, oldest first; only where outliers are detected. */
  readonly ejections?: readonly EjectionEvent[];
  /** Only where there is one. */
  readonly breaker?: BreakerState;
}

/** Services that can be called, with what is known of each endpoint. */
export function clustersOf(upstreams: Upstreams): ClusterView[] {
  return [...upstreams.all()].map(([route, { name, members, ejections, admission }]) => ({
    cluster: name,
    protocol: route.port.protocol,
    endpoints: members.map((member) => ({
      address: member.address,
      identity: member.endpoint.identity,
      workload: `${member.endpoint.namespace}/${member.endpoint.workload}`,
      connections: member.connections,
      lastError: member.lastError,
      active: member.active,
      health: healthOf(member),
    })),
    ...(ejections !== null && { ejections: [...ejections.events] }),
    ...(admission.breaker !== null && { breaker: admission.breaker.state }),
  }));
}

function healthOf({ ejected, failing }: Member): 'healthy' | 'ejected' | 'failing' {
  if (ejected) return 'ejected';
  return failing ? 'failing' : 'healthy';
}

/** Public keys are no secrets, but a symmetric one is: it both signs and verifies. So is what a collector asks for. */
export function snapshotOf(enforced: Enforced | null): unknown {
  if (enforced === null) return null;
  const { snapshot } = enforced;
  const { mesh, telemetry, policies } = snapshot;
  return {
    ...snapshot,
    mesh: { ...mesh, extensionProviders: withoutValues(mesh.extensionProviders) },
    policies: policies.map(withoutKeys),
    ...(telemetry !== undefined && { telemetry: withoutValues(telemetry) }),
  };
}

/** Header values of collectors, wherever they are: `[name, value]`, or `{ name, value }`. */
function withoutValues(part: unknown): unknown {
  const text = JSON.stringify(part, (key, value: unknown) => {
    if (!/^(?:headers|initialMetadata)$/.test(key) || !Array.isArray(value)) return value;
    return value.map((line: unknown) => {
      const name = Array.isArray(line) ? line[0] : (line as { name?: unknown }).name;
      return { name, value: '(left out)' };
    });
  });
  return JSON.parse(text) as unknown;
}

function withoutKeys(policy: PolicyResource): unknown {
  if (policy.kind !== 'RequestAuthentication') return policy;
  const jwtRules = policy.spec.jwtRules.map((rule) =>
    rule.jwks === undefined ? rule : { ...rule, jwks: `(${rule.jwks.length} characters left out)` },
  );
  return { ...policy, spec: { ...policy.spec, jwtRules } };
}
