// Services and service entries as the catalog lists them: names, addresses, ports, endpoints.
import { isDeepStrictEqual } from 'node:util';

import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { isOfCluster } from '#api/origin.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { Service } from '#api/snapshot.ts';

import { allocateAddresses } from './automatic-addresses.ts';
import { byPlace, PodIndex, type EndpointFinder } from './endpoints.ts';
import { keptFor } from './made-of.ts';
import { listEntry } from './service-entries.ts';
import { sameItems } from './same-items.ts';
import { SliceIndex } from './slices.ts';
import { WorkloadEntries } from './workload-entries.ts';

/** Kubernetes' cluster domain: of names, not of identities. */
const clusterDomain = 'cluster.local';

export interface Alias {
  readonly name: string;
  readonly namespace: string;
}

/** A service of the mesh, before it is said who may call it by which names. */
export interface Listed {
  readonly service: Service;
  /** Only callers of the same namespace also know it by this name; null: none do. */
  readonly shortHost: string | null;
  /** Services of type ExternalName that mean it, each known by its bare name in its own namespace. */
  readonly aliases: readonly Alias[];
  /** Namespaces that see it; null: all. */
  readonly exportTo: ReadonlySet<string> | null;
  /** All that it was made of; null: it cannot be said. */
  readonly inputs: readonly unknown[] | null;
}

/** @param previous the last list: what of it is still true is used again, the same objects */
export function listServices(mesh: MeshResources, previous: readonly Listed[]): Listed[] {
  const { trustDomain, defaultServiceExportTo = [] } = mesh.meshConfig;
  const workloads = new WorkloadEntries(mesh.workloadEntries, trustDomain);
  const inCluster = mesh.endpointSlices.some(isOfCluster);
  let pods: PodIndex | null = null;
  const podsOf = (): PodIndex => (pods ??= new PodIndex(mesh, inCluster));
  const finder = withOutside(finderOf(mesh, inCluster, podsOf), workloads);
  const around = {
    trustDomain,
    pods: podsOf,
    workloads,
    exportTo: defaultServiceExportTo,
    automatic: allocateAddresses(mesh.serviceEntries),
  };
  const before = new Map(previous.map((one) => [keyOf(one.service), one]));
  const aliases = aliasesOf(mesh.services);
  const listed = [
    ...mesh.services.flatMap((service) => listService(service, finder(service), aliases, before)),
    ...mesh.serviceEntries.flatMap((entry) => listEntry(entry, around)),
  ];
  return listed.map((one) => again(before, one));
}

/**
 * In a cluster EndpointSlices say everything: a Service without them leads nowhere. In a folder they are written for what
 * no pod of it stands for, beside Services that select pods.
 */
function finderOf(
  mesh: MeshResources,
  inCluster: boolean,
  podsOf: () => PodIndex,
): (service: ServiceResource) => EndpointFinder {
  const slices = new SliceIndex(mesh);
  if (inCluster) return () => slices;
  const pods = podsOf();
  return (service) => (slices.knows(service) ? slices : pods);
}

/** As in Istio, Services select workloads outside of the cluster as well. */
function withOutside(
  inside: (service: ServiceResource) => EndpointFinder,
  outside: WorkloadEntries,
): (service: ServiceResource) => EndpointFinder {
  return (service) => {
    const finder = inside(service);
    const entries = outside.of(service);
    if (entries.length === 0) return finder;
    return {
      endpoints: (of, port) =>
        [...finder.endpoints(of, port), ...outside.endpoints(of, port)].toSorted(byPlace),
      inputsOf: (of) => {
        const inputs = finder.inputsOf(of);
        return inputs === null ? null : [...inputs, ...entries];
      },
    };
  };
}

/**
 * Services of type ExternalName, by the full name of the Service that they mean: as in Istio, calls to the alias are calls
 * to that one, with its ports, identities and policies. One that means a host outside is none of ours, and passes through.
 */
function aliasesOf(services: readonly ServiceResource[]): ReadonlyMap<string, readonly Alias[]> {
  const meant = new Map<string, string>();
  for (const { metadata, spec } of services) {
    if (spec.type !== 'ExternalName' || spec.externalName === undefined) continue;
    const target = spec.externalName.toLowerCase().replace(/\.$/, '');
    meant.set(`${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`, target);
  }
  const aliases = new Map<string, Alias[]>();
  for (const [host, first] of meant) {
    const [name = '', namespace = ''] = host.split('.');
    let target = first;
    // An alias of an alias; as often as there are aliases, or they go in circles.
    for (let i = 0; i < meant.size && meant.has(target); i++) target = meant.get(target) ?? '';
    aliases.set(target, [...(aliases.get(target) ?? []), { name, namespace }]);
  }
  return aliases;
}

function hostsOf({ name, namespace }: Alias): string[] {
  const short = `${name}.${namespace}`;
  return [`${short}.svc.${clusterDomain}`, `${short}.svc`, short];
}

function listService(
  resource: ServiceResource,
  finder: EndpointFinder,
  aliasesByHost: ReadonlyMap<string, readonly Alias[]>,
  before: ReadonlyMap<string, Listed>,
): Listed[] {
  const { name, namespace } = resource.metadata;
  const { type, ports, clusterIP = '', clusterIPs } = resource.spec;
  if (type === 'ExternalName') return [];
  const own = hostsOf({ name, namespace });
  const aliases = aliasesByHost.get(own[0] ?? '') ?? [];
  const inputs = finder.inputsOf(resource);
  const old = before.get(`${namespace}/${name}`);
  if (old !== undefined && isMadeOf(old, inputs) && isDeepStrictEqual(old.aliases, aliases)) {
    return [old];
  }
  const addresses = (clusterIPs ?? [clusterIP]).filter((ip) => ip !== '' && ip !== 'None');
  const service: Service = {
    name,
    namespace,
    hosts: [...own, ...aliases.flatMap(hostsOf)],
    addresses,
    ports: ports
      .filter(({ protocol }) => protocol === 'TCP')
      .map((port) => ({
        port: port.port,
        name: port.name,
        protocol: protocolOf(port),
        endpoints: finder.endpoints(resource, port),
      })),
  };
  return [{ service, shortHost: name, exportTo: null, aliases, inputs }];
}

function isMadeOf({ inputs: before }: Listed, inputs: readonly unknown[] | null): boolean {
  return before !== null && inputs !== null && sameItems(before, inputs);
}

function again(before: ReadonlyMap<string, Listed>, one: Listed): Listed {
  const old = before.get(keyOf(one.service));
  if (old === undefined || old === one || !isDeepStrictEqual(old.service, one.service)) return one;
  return { ...one, service: keptFor(old.service, one.service) };
}

export function keyOf(service: Service): string {
  return `${service.namespace}/${service.name}`;
}
