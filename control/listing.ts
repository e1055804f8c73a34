// Services and service entries as the catalog lists them: names, addresses, ports, endpoints.
import { isDeepStrictEqual } from 'node:util';

import type { ServiceEntry, WorkloadEntry } from '#api/kinds/service-entry.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { isOfCluster } from '#api/origin.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { Endpoint, Service } from '#api/snapshot.ts';
import { formatSpiffeId } from '#api/spiffe.ts';

import { PodIndex, type EndpointFinder } from './endpoints.ts';
import { sameItems } from './same-items.ts';
import { SliceIndex } from './slices.ts';

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
  const finder = finderOf(mesh);
  const before = new Map(previous.map((one) => [keyOf(one.service), one]));
  const aliases = aliasesOf(mesh.services);
  const listed = [
    ...mesh.services.flatMap((service) => listService(service, finder(service), aliases, before)),
    ...mesh.serviceEntries.flatMap((entry) => listEntry(entry, mesh.meshConfig.trustDomain)),
  ];
  return listed.map((one) => again(before, one));
}

/**
 * In a cluster EndpointSlices say everything: a Service without them leads nowhere. In a folder they are written for what
 * no pod of it stands for, beside Services that select pods.
 */
function finderOf(mesh: MeshResources): (service: ServiceResource) => EndpointFinder {
  const slices = new SliceIndex(mesh);
  if (mesh.endpointSlices.some(isOfCluster)) return () => slices;
  const pods = new PodIndex(mesh);
  return (service) => (slices.knows(service) ? slices : pods);
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

/** One service for each host. Only entries that list addresses can be called; others are left to pass through. */
function listEntry(entry: ServiceEntry, trustDomain: string): Listed[] {
  const { spec, metadata } = entry;
  if (!isStatic(entry)) return [];
  return spec.hosts.map((host) => {
    const service: Service = {
      name: host,
      namespace: metadata.namespace,
      hosts: [host.toLowerCase()],
      addresses: spec.addresses.filter((address) => !address.includes('/')),
      ports: spec.ports.map((port) => ({
        port: port.number,
        name: port.name,
        protocol: protocolOf({ name: port.protocol, port: port.number }),
        endpoints: spec.endpoints.map((endpoint) => ({
          ...endpointOf(entry, endpoint, trustDomain),
          port: endpoint.ports?.[port.name] ?? port.targetPort ?? port.number,
        })),
      })),
    };
    const exportTo = visibility(spec.exportTo, metadata.namespace);
    return { service, shortHost: null, exportTo, aliases: [], inputs: null };
  });
}

/** Whether an entry says by itself where its hosts are. */
export function isStatic({ spec }: ServiceEntry): boolean {
  return spec.resolution === 'STATIC' && spec.workloadSelector === undefined;
}

function endpointOf(
  entry: ServiceEntry,
  endpoint: WorkloadEntry,
  trustDomain: string,
): Omit<Endpoint, 'port'> {
  const { namespace } = entry.metadata;
  const { serviceAccount = '', labels } = endpoint;
  // As in Istio: mutual TLS only to an endpoint that is said to speak it.
  const inMesh =
    entry.spec.location === 'MESH_INTERNAL' &&
    serviceAccount !== '' &&
    labels['security.istio.io/tlsMode'] === 'istio';
  return {
    address: endpoint.address,
    identity: inMesh ? formatSpiffeId({ trustDomain, namespace, serviceAccount }) : null,
    workload: entry.metadata.name,
    namespace,
    labels,
  };
}

/** Istio exportTo: `.` own namespace, `*` all, `~` none, else a namespace; empty means all. */
function visibility(exportTo: readonly string[], own: string): ReadonlySet<string> | null {
  if (exportTo.length === 0 || exportTo.includes('*')) return null;
  return new Set(exportTo.map((word) => (word === '.' ? own : word)));
}

function again(before: ReadonlyMap<string, Listed>, one: Listed): Listed {
  const old = before.get(keyOf(one.service));
  if (old === undefined || old === one || !isDeepStrictEqual(old.service, one.service)) return one;
  return { ...one, service: old.service };
}

export function keyOf(service: Service): string {
  return `${service.namespace}/${service.name}`;
}
