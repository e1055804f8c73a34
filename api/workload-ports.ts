// The ports of a workload: as Services and ServiceEntries that select it declare them, then those of its containers.
import type { PodSpec } from './kinds/pod.ts';
import type { ServiceEntry } from './kinds/service-entry.ts';
import type { ServiceResource } from './kinds/service.ts';
import { protocolOf } from './port-protocol.ts';
import { serviceHost } from './traffic/host.ts';
import type { WorkloadPort } from './workload.ts';

/** What declares ports of the workloads of one namespace. */
export interface PortDeclarers {
  readonly services: readonly ServiceResource[];
  /** Those that select workloads. */
  readonly entries: readonly ServiceEntry[];
}

type ContainerPorts = PodSpec['containers'][number]['ports'];

export const noDeclarers: PortDeclarers = Object.freeze({ services: [], entries: [] });

/** By namespace. */
export function portDeclarers(mesh: {
  readonly services: readonly ServiceResource[];
  readonly serviceEntries: readonly ServiceEntry[];
}): Map<string, PortDeclarers> {
  const services = byNamespace(mesh.services);
  const selecting = mesh.serviceEntries.filter(({ spec }) => spec.workloadSelector !== undefined);
  const entries = byNamespace(selecting);
  const namespaces = new Set([...services.keys(), ...entries.keys()]);
  return new Map(
    [...namespaces].map((namespace) => [
      namespace,
      { services: services.get(namespace) ?? [], entries: entries.get(namespace) ?? [] },
    ]),
  );
}

/**
 * Ports that are declared come first and with their protocol: the first Service of a port wins, then the oldest
 * ServiceEntry. Callers speak what these say, so the sidecar has to know it too.
 */
export function portsOf(
  { services, entries }: PortDeclarers,
  labels: Readonly<Record<string, string>>,
  spec: PodSpec,
): WorkloadPort[] {
  const containerPorts = spec.containers
    .flatMap((container) => container.ports)
    .filter(({ protocol }) => protocol === 'TCP');
  const ports = new Map<number, WorkloadPort>();
  const declared = [
    ...services.flatMap((service) => portsOfService(service, labels, containerPorts)),
    ...entries.flatMap((entry) => portsOfEntry(entry, labels)),
    ...containerPorts.map(({ containerPort: port, name }): WorkloadPort => ({
      port,
      name,
      protocol: 'detect',
    })),
  ];
  for (const one of declared) if (!ports.has(one.port)) ports.set(one.port, one);
  return [...ports.values()];
}

/** The labels of a selector are all there. @param selector one without labels selects everything */
export function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}

function portsOfService(
  { metadata, spec: { selector = {}, ports } }: ServiceResource,
  labels: Readonly<Record<string, string>>,
  containerPorts: ContainerPorts,
): WorkloadPort[] {
  if (!selectsSome(selector, labels)) return [];
  const host = serviceHost(metadata.name, metadata.namespace);
  return ports.flatMap((one): WorkloadPort[] => {
    if (one.protocol !== 'TCP') return [];
    const target = one.targetPort ?? one.port;
    const port =
      typeof target === 'number'
        ? target
        : containerPorts.find(({ name }) => name === target)?.containerPort;
    if (port === undefined) return [];
    const service = { host, port: one.port };
    return [{ port, name: one.name, protocol: protocolOf(one), service }];
  });
}

function portsOfEntry(
  { spec: { hosts, workloadSelector, ports } }: ServiceEntry,
  labels: Readonly<Record<string, string>>,
): WorkloadPort[] {
  if (!selectsSome(workloadSelector?.labels ?? {}, labels)) return [];
  return ports.map(({ number, targetPort = number, name, protocol }) => ({
    port: targetPort,
    name,
    // As callers read it.
    protocol: protocolOf({ name: protocol, port: number }),
    service: { host: (hosts[0] ?? '').toLowerCase(), port: number },
  }));
}

/** Of ports, one without labels selects nothing. */
export function selectsSome(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.keys(selector).length > 0 && selects(selector, labels);
}

/** Map.groupBy would do, but users' own tests run this on Node 20 too, which has none. */
export function byNamespace<R extends { readonly metadata: { readonly namespace: string } }>(
  resources: readonly R[],
): Map<string, R[]> {
  const grouped = new Map<string, R[]>();
  for (const one of resources) {
    const group = grouped.get(one.metadata.namespace);
    if (group === undefined) grouped.set(one.metadata.namespace, [one]);
    else group.push(one);
  }
  return grouped;
}
