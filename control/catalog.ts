// Every service of the mesh, and which of them a namespace may call by which names.
import { isDeepStrictEqual } from 'node:util';

import type { MeshResources } from '#api/mesh.ts';
import type { Endpoint, Service } from '#api/snapshot.ts';

import { keyOf, listServices, type Listed } from './listing.ts';
import { madeLike } from './made-of.ts';
import { sameItems } from './same-items.ts';

interface Basis {
  readonly lists: ReadonlyMap<string, readonly Service[]>;
  readonly replaced: ReadonlyMap<Service, Service>;
}

/** A namespace's own form of a service (with other hosts) -> the service that it is a form of. */
const sources = new WeakMap<Service, Service>();

/** What changes most often beside endpoints, and says nothing of services. */
const notOfServices: ReadonlySet<string> = new Set<keyof MeshResources>([
  'authorizationPolicies',
  'requestAuthentications',
  'peerAuthentications',
  'virtualServices',
  'httpRoutes',
  'grpcRoutes',
  'referenceGrants',
  'destinationRules',
  'circuitBreakers',
  'healthChecks',
  'sidecars',
  'telemetries',
  'extensions',
  'secrets',
  'replaced',
]);

export class Catalog {
  /** What it was made of. */
  readonly #inputs: readonly unknown[];
  readonly #listed: readonly Listed[];
  /** The last list of each namespace, from earlier catalogs. */
  readonly #earlier: ReadonlyMap<string, readonly Service[]>;
  readonly #byNamespace: Map<string, readonly Service[]>;
  /** Where nothing changed but what is behind names, lists of the last catalog are these, with some services replaced. */
  readonly #basis: Basis | null;

  /** @param previous its equal parts are used again, so that a comparison sees at once that they are equal */
  constructor(mesh: MeshResources, previous: Catalog | null, inputs = inputsOf(mesh)) {
    this.#inputs = inputs;
    this.#listed = listServices(mesh, previous === null ? [] : previous.#listed);
    const unchanged = previous !== null && sameServices(this.#listed, previous.#listed);
    const replaced = previous === null ? null : replacedServices(previous.#listed, this.#listed);
    this.#basis =
      previous === null || replaced === null ? null : { lists: previous.#byNamespace, replaced };
    this.#earlier =
      previous === null ? new Map() : new Map([...previous.#earlier, ...previous.#byNamespace]);
    this.#byNamespace = unchanged ? new Map(previous.#byNamespace) : new Map();
  }

  /** The catalog of these resources: the previous one where it is still true, else one that uses its parts. */
  static of(mesh: MeshResources, previous: Catalog | null): Catalog {
    const inputs = inputsOf(mesh);
    return previous !== null && sameItems(previous.#inputs, inputs)
      ? previous
      : new Catalog(mesh, previous, inputs);
  }

  /** An endpoint of a Service by one of its full names; null when there is none, or only a name to look up. */
  placeOf(host: string, port: number): Endpoint | null {
    const found = this.#listed.find(
      ({ service }) => service.resolution === undefined && service.hosts.includes(host),
    );
    const served = found?.service.ports.find((one) => one.port === port);
    return served?.endpoints[0] ?? null;
  }

  /** What callers of a namespace may call, by namespace and name. The same list while nothing changes. */
  visibleTo(namespace: string): readonly Service[] {
    let visible = this.#byNamespace.get(namespace);
    if (visible === undefined) {
      const last = this.#basis?.lists.get(namespace);
      visible = last === undefined ? this.#list(namespace) : this.#replaceIn(last);
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
    // Names that only mean something to callers of one namespace.
    const shortNames = ({ service, shortHost, aliases }: Listed): string[] => [
      ...(shortHost !== null && service.namespace === namespace ? [shortHost] : []),
      ...aliases.filter((alias) => alias.namespace === namespace).map(({ name }) => name),
    ];
    const visible = this.#listed.filter(
      ({ exportTo }) => exportTo === null || exportTo.has(namespace),
    );
    const ranked = visible.toSorted((a, b) => rank(a, namespace) - rank(b, namespace));
    const claimed = new Set<string>();
    const services = new Map<string, Service>();
    for (const one of ranked) {
      const { service } = one;
      const own = shortNames(one);
      const hosts = [...service.hosts, ...own].filter((host) => !claimed.has(host));
      if (hosts.length === 0 || services.has(keyOf(service))) continue;
      for (const host of hosts) claimed.add(host);
      const asSeen = hosts.length === service.hosts.length && own.length === 0;
      services.set(keyOf(service), asSeen ? service : formOf(service, hosts, before));
    }
    const list = [...services.values()].toSorted((a, b) => compare(keyOf(a), keyOf(b)));
    const unchanged = old?.length === list.length && list.every((one, i) => one === old[i]);
    return unchanged ? old : list;
  }

  #replaceIn(list: readonly Service[]): readonly Service[] {
    const replaced = this.#basis?.replaced ?? new Map<Service, Service>();
    return list.map((one) => {
      const source = sources.get(one) ?? one;
      const next = replaced.get(source);
      if (next === undefined) return one;
      if (source === one) return next;
      const form = madeLike({ ...next, hosts: one.hosts }, next);
      sources.set(form, next);
      return form;
    });
  }
}

function inputsOf(mesh: MeshResources): unknown[] {
  return Object.entries(mesh).flatMap(([name, resources]): unknown[] =>
    notOfServices.has(name) ? [] : [name, ...(Array.isArray(resources) ? resources : [resources])],
  );
}

function formOf(
  service: Service,
  hosts: readonly string[],
  before: ReadonlyMap<string, Service>,
): Service {
  const form = { ...service, hosts };
  const old = before.get(keyOf(form));
  const kept = old !== undefined && isDeepStrictEqual(old, form) ? old : form;
  sources.set(kept, service);
  return madeLike(kept, service);
}

/** Old -> new, where all names and who sees them stayed; null: they did not. */
function replacedServices(
  before: readonly Listed[],
  after: readonly Listed[],
): Map<Service, Service> | null {
  if (before.length !== after.length) return null;
  const replaced = new Map<Service, Service>();
  for (const [i, now] of after.entries()) {
    const old = before[i];
    if (old === undefined) return null;
    if (old.service === now.service && old.exportTo === now.exportTo) continue;
    if (keyOf(old.service) !== keyOf(now.service) || !sameNames(old, now)) return null;
    if (old.service !== now.service) replaced.set(old.service, now.service);
  }
  return replaced;
}

function sameNames(a: Listed, b: Listed): boolean {
  return (
    a.shortHost === b.shortHost &&
    isDeepStrictEqual(a.exportTo, b.exportTo) &&
    isDeepStrictEqual(a.aliases, b.aliases) &&
    isDeepStrictEqual(a.service.hosts, b.service.hosts)
  );
}

function sameServices(a: readonly Listed[], b: readonly Listed[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => one === b[i] || (one.service === b[i]?.service && sameNames(one, b[i])))
  );
}

function rank({ service, shortHost }: Listed, namespace: string): number {
  if (shortHost !== null) return 0;
  return service.namespace === namespace ? 1 : 2;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
