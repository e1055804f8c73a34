// Every service of the mesh, and which of them a namespace may call by which names.
import { isDeepStrictEqual } from 'node:util';

import type { ServiceEntry, WorkloadEntry } from '#api/kinds/service-entry.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { Endpoint, Service } from '#api/snapshot.ts';
import { formatSpiffeId } from '#api/spiffe.ts';

import { PodIndex } from './endpoints.ts';

/** Kubernetes' cluster domain: of names, not of identities. */
const clusterDomain = 'cluster.local';

interface Listed {
  readonly service: Service;
  /** Only callers of the same namespace also know it by this name; null: none do. */
  readonly shortHost: string | null;
  /** Namespaces that see it; null: all. */
  readonly exportTo: ReadonlySet<string> | null;
}

export class Catalog {
  readonly #listed: readonly Listed[];
  /** The last list of each namespace, from earlier catalogs. */
  readonly #earlier: ReadonlyMap<string, readonly Service[]>;
  readonly #byNamespace: Map<string, readonly Service[]>;

  /** @param previous its equal parts are used again, so that a comparison sees at once that they are equal */
  constructor(mesh: MeshResources, previous: Catalog | null) {
    const pods = new PodIndex(mesh);
    const before = new Map(previous?.all().map((service) => [keyOf(service), service]));
    const listed = [
      ...mesh.services.flatMap((service) => listService(service, pods)),
      ...mesh.serviceEntries.flatMap((entry) => listEntry(entry, mesh.meshConfig.trustDomain)),
    ];
    this.#listed = listed.map((one) => ({ ...one, service: again(before, one.service) }));
    const unchanged = previous !== null && sameServices(this.#listed, previous.#listed);
    this.#earlier =
      previous === null ? new Map() : new Map([...previous.#earlier, ...previous.#byNamespace]);
    this.#byNamespace = unchanged ? new Map(previous.#byNamespace) : new Map();
  }

  all(): Service[] {
    return this.#listed.map(({ service }) => service);
  }

  /** An endpoint of a Service by one of its full names; null when there is none. */
  placeOf(host: string, port: number): Endpoint | null {
    const found = this.#listed.find(({ service }) => service.hosts.includes(host));
    const served = found?.service.ports.find((one) => one.port === port);
    return served?.endpoints[0] ?? null;
  }

  /** What callers of a namespace may call, by namespace and name. The same list while nothing changes. */
  visibleTo(namespace: string): readonly Service[] {
    let visible = this.#byNamespace.get(namespace);
    if (visible === undefined) {
      visible = this.#list(namespace);
      this.#byNamespace.set(namespace, visible);
    }
    return visible;
  }

  /**
   * A host belongs to whoever claims it first: Services of the cluster, then entries of the caller's own namespace,
   * then the oldest entry. So no entry of another namespace takes over the name of a Service.
   */
  #list(namespace: string): readonly Service[] {
    const old = this.#earlier.get(namespace);
    const before = new Map(old?.map((service) => [keyOf(service), service]));
    const visible = this.#listed.filter(
      ({ exportTo }) => exportTo === null || exportTo.has(namespace),
    );
    const ranked = visible.toSorted((a, b) => rank(a, namespace) - rank(b, namespace));
    const claimed = new Set<string>();
    const services = new Map<string, Service>();
    for (const { service, shortHost } of ranked) {
      const own = shortHost !== null && service.namespace === namespace ? [shortHost] : [];
      const hosts = [...service.hosts, ...own].filter((host) => !claimed.has(host));
      if (hosts.length === 0 || services.has(keyOf(service))) continue;
      for (const host of hosts) claimed.add(host);
      const asSeen = hosts.length === service.hosts.length && own.length === 0;
      services.set(keyOf(service), asSeen ? service : again(before, { ...service, hosts }));
    }
    const list = [...services.values()].toSorted((a, b) => compare(keyOf(a), keyOf(b)));
    const unchanged = old?.length === list.length && list.every((one, i) => one === old[i]);
    return unchanged ? old : list;
  }
}

function sameServices(a: readonly Listed[], b: readonly Listed[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      (one, i) => one.service === b[i]?.service && isDeepStrictEqual(one.exportTo, b[i].exportTo),
    )
  );
}

function rank({ service, shortHost }: Listed, namespace: string): number {
  if (shortHost !== null) return 0;
  return service.namespace === namespace ? 1 : 2;
}

function listService(resource: ServiceResource, pods: PodIndex): Listed[] {
  const { name, namespace } = resource.metadata;
  const { type, ports, clusterIP = '', clusterIPs } = resource.spec;
  if (type === 'ExternalName') return [];
  const addresses = (clusterIPs ?? [clusterIP]).filter((ip) => ip !== '' && ip !== 'None');
  const short = `${name}.${namespace}`;
  const service: Service = {
    name,
    namespace,
    hosts: [`${short}.svc.${clusterDomain}`, `${short}.svc`, short],
    addresses,
    ports: ports
      .filter(({ protocol }) => protocol === 'TCP')
      .map((port) => ({
        port: port.port,
        name: port.name,
        protocol: protocolOf(port),
        endpoints: pods.endpoints(resource, port),
      })),
  };
  return [{ service, shortHost: name, exportTo: null }];
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
    return { service, shortHost: null, exportTo: visibility(spec.exportTo, metadata.namespace) };
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

function again(before: ReadonlyMap<string, Service>, service: Service): Service {
  const old = before.get(keyOf(service));
  return old !== undefined && isDeepStrictEqual(old, service) ? old : service;
}

function keyOf(service: Service): string {
  return `${service.namespace}/${service.name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
