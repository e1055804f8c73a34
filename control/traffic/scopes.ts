// What a workload sees of the mesh: the Sidecar resource that counts for it, and what the mesh says where none does.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { Sidecar } from '#api/kinds/sidecar.ts';
import type { MeshResources } from '#api/mesh.ts';
import { nameOf } from '#api/origin.ts';
import type { Service } from '#api/snapshot.ts';
import type { OutboundScope } from '#api/traffic/destination.ts';
import type { RouteGroup } from '#api/traffic/route.ts';
import type { Workload } from '#api/workload.ts';
import { selectsLabels } from '#policy/attach.ts';

import { hostCovers } from '#api/traffic/host.ts';

import { keepPorts } from './cut-service.ts';
import { withRouted } from './routed-services.ts';

interface Seen {
  /** `*` stands for each. */
  readonly namespace: string;
  readonly host: string;
  /** 0: all of a service. */
  readonly port: number;
}

/** Cut to what a scope lets be seen, by the scope's key. Lists of services are shared, so what is cut of them is as well. */
const cuts = new WeakMap<readonly Service[], Map<string, readonly Service[]>>();

export class Scope {
  readonly outbound: OutboundScope | null;
  /** The resource that says so. */
  readonly sidecar: Sidecar | null;
  readonly #seen: readonly Seen[] | null;
  readonly #key: string;

  /** @param seen null: everything */
  constructor(
    outbound: OutboundScope | null,
    seen: readonly Seen[] | null,
    sidecar: Sidecar | null,
  ) {
    this.outbound = outbound;
    this.sidecar = sidecar;
    this.#seen = seen;
    this.#key = JSON.stringify(seen);
  }

  /** Whether a host of a namespace is seen at all: of services as of VirtualServices. */
  sees(namespace: string, host: string): boolean {
    return this.#seen === null || this.#seen.some((one) => matches(one, namespace, host));
  }

  /**
   * The same objects where nothing is cut from them, and the same list for the same lists.
   * @param routes those that are seen, as `cutRoutes` gives them: what they lead to is seen too
   */
  cut(services: readonly Service[], routes: readonly RouteGroup[]): readonly Service[] {
    const seen = this.#seen;
    if (seen === null) return services;
    let lists = cuts.get(services);
    if (lists === undefined) cuts.set(services, (lists = new Map()));
    let list = lists.get(this.#key);
    if (list === undefined) {
      list = services.flatMap((service) => cutService(service, seen));
      lists.set(this.#key, list);
    }
    return withRouted(list, services, routes);
  }

  /** As `cut`, of routes. */
  cutRoutes(groups: readonly RouteGroup[]): readonly RouteGroup[] {
    if (this.#seen === null) return groups;
    let lists = routeCuts.get(groups);
    if (lists === undefined) routeCuts.set(groups, (lists = new Map()));
    let list = lists.get(this.#key);
    if (list === undefined) {
      list = groups.filter((one) => one.hosts.some((host) => this.sees(namespaceOf(one), host)));
      lists.set(this.#key, list);
    }
    return list;
  }
}

/** Groups of routes that a scope lets be seen, by the scope's key, as `cuts`. */
const routeCuts = new WeakMap<readonly RouteGroup[], Map<string, readonly RouteGroup[]>>();

/** Routes are a namespace's as services are: `VirtualService/shop/payments`. */
function namespaceOf({ key }: RouteGroup): string {
  return key.split('/')[1] ?? '';
}

function matches(seen: Seen, namespace: string, host: string): boolean {
  return (seen.namespace === '*' || seen.namespace === namespace) && hostCovers(seen.host, host);
}

function cutService(service: Service, seen: readonly Seen[]): readonly Service[] {
  const [host = ''] = service.hosts;
  const ports = seen.filter((one) => matches(one, service.namespace, host)).map(({ port }) => port);
  if (ports.length === 0) return [];
  if (ports.includes(0)) return [service];
  const kept = keepPorts(service, (port) => ports.includes(port));
  return kept === null ? [] : [kept];
}

export class Scopes {
  readonly #byNamespace = new Map<string, Sidecar[]>();
  readonly #scopes = new Map<Sidecar, Map<string, Scope>>();
  readonly #mesh: MeshConfig;
  readonly #open: Scope;

  constructor({ sidecars, meshConfig }: MeshResources) {
    this.#mesh = meshConfig;
    this.#open = new Scope(meshOutbound(meshConfig), null, null);
    for (const sidecar of sidecars) {
      const { namespace } = sidecar.metadata;
      const list = this.#byNamespace.get(namespace);
      if (list === undefined) this.#byNamespace.set(namespace, [sidecar]);
      else list.push(sidecar);
    }
  }

  /** The oldest with a selector that fits, then the oldest without one, then that of the root namespace. */
  of({ namespace, labels }: Workload): Scope {
    const own = this.#byNamespace.get(namespace) ?? [];
    const root = this.#byNamespace.get(this.#mesh.rootNamespace) ?? [];
    const sidecar =
      own.find(({ spec }) => isSelected(spec.workloadSelector, labels)) ??
      own.find(({ spec }) => isGeneral(spec.workloadSelector)) ??
      root.find(({ spec }) => isGeneral(spec.workloadSelector));
    return sidecar === undefined ? this.#open : this.#scopeOf(sidecar, namespace);
  }

  /** "." is the namespace of the workload, also in the root namespace's Sidecar. */
  #scopeOf(sidecar: Sidecar, namespace: string): Scope {
    let scopes = this.#scopes.get(sidecar);
    if (scopes === undefined) this.#scopes.set(sidecar, (scopes = new Map()));
    const known = scopes.get(namespace);
    if (known !== undefined) return known;
    const { egress, outboundTrafficPolicy } = sidecar.spec;
    const outbound =
      outboundTrafficPolicy === undefined
        ? meshOutbound(this.#mesh)
        : { mode: outboundTrafficPolicy.mode, source: nameOf(sidecar) };
    const seen = egress.flatMap(({ hosts, port }) =>
      hosts.flatMap((written): Seen[] => {
        const [where = '', host = ''] = written.toLowerCase().split('/');
        if (where === '~') return [];
        return [{ namespace: where === '.' ? namespace : where, host, port: port?.number ?? 0 }];
      }),
    );
    const always = authorizersOf(this.#mesh).map((host) => ({ namespace: '*', host, port: 0 }));
    const all = egress.length === 0 ? null : [...seen, ...always];
    const scope = new Scope(outbound, all, sidecar);
    scopes.set(namespace, scope);
    return scope;
  }
}

type Selector = Sidecar['spec']['workloadSelector'];

function isSelected(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  return !isGeneral(selector) && selectsLabels(selector?.labels ?? {}, labels);
}

function isGeneral(selector: Selector): boolean {
  return selector === undefined || Object.keys(selector.labels).length === 0;
}

function meshOutbound({ outboundTrafficPolicy }: MeshConfig): OutboundScope | null {
  return outboundTrafficPolicy === undefined
    ? null
    : { mode: outboundTrafficPolicy.mode, source: 'MeshConfig' };
}

/** A sidecar that did not see its authorizer would refuse every call. */
function authorizersOf({ extensionProviders }: MeshConfig): string[] {
  return extensionProviders.flatMap(({ envoyExtAuthzHttp, envoyExtAuthzGrpc }) => {
    const service = (envoyExtAuthzHttp ?? envoyExtAuthzGrpc)?.service;
    return service === undefined ? [] : [service.replace(/^[^/]*\//, '').toLowerCase()];
  });
}
