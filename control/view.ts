// What all snapshots of one moment share: the mesh's settings, its workloads, its services, its policies by namespace.
import { isDeepStrictEqual } from 'node:util';

import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { Sidecar } from '#api/kinds/sidecar.ts';
import type { RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { workloadsOf, type MeshResources } from '#api/mesh.ts';
import { isOfCluster } from '#api/origin.ts';
import type { PolicyResource, Service } from '#api/snapshot.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import type { TelemetrySettings } from '#api/telemetry.ts';
import type { InboundPort } from '#api/traffic/inbound.ts';
import type { RouteGroup } from '#api/traffic/route.ts';
import type { Workload } from '#api/workload.ts';

import { resourceKey, type Written } from './made-of.ts';
import { Catalog } from './catalog.ts';
import { Extensions } from './extensions.ts';
import { PodWorkloads } from './pods.ts';
import { PolicyLists } from './policy-lists.ts';
import { Destinations } from './traffic/destinations.ts';
import { inboundPorts } from './traffic/inbound.ts';
import { type Scope, Scopes } from './traffic/scopes.ts';
import type { ParentVerdict } from './traffic/route-verdicts.ts';
import { Routes } from './traffic/routes.ts';
import { Telemetries } from './telemetry/telemetries.ts';

/** Who asks for a snapshot, as it says itself. */
export interface Asking {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
}

export class MeshView {
  readonly mesh: MeshConfig;
  readonly #catalog: Catalog;
  readonly #workloads = new Map<string, Workload>();
  readonly #pods: PodWorkloads;
  readonly #extensions: Extensions;
  readonly #destinations: Destinations;
  readonly #scopes: Scopes;
  readonly #telemetries: Telemetries;
  readonly #policies: PolicyLists;
  readonly #routes: Routes;
  /** What users write for the mesh. */
  readonly #written: readonly Written[];
  #generations: ReadonlyMap<string, number> | null = null;

  /**
   * @param requestAuthentications those of the mesh with keys in place of addresses
   * @param previous its equal parts are used again
   * @param catalog of the same resources
   */
  constructor(
    resources: MeshResources,
    requestAuthentications: readonly RequestAuthentication[],
    previous: MeshView | null,
    catalog = Catalog.of(resources, previous && previous.#catalog),
  ) {
    this.mesh = again(previous?.mesh, resources.meshConfig);
    this.#catalog = catalog;
    this.#pods = new PodWorkloads(resources, previous && previous.#pods);
    this.#extensions = new Extensions(resources);
    this.#scopes = new Scopes(resources);
    this.#telemetries = new Telemetries({ ...resources, meshConfig: this.mesh });
    this.#destinations = new Destinations(
      { ...resources, meshConfig: this.mesh },
      previous === null ? null : previous.#destinations,
    );
    this.#routes = new Routes(resources, previous === null ? null : previous.#routes);
    // In a cluster each pod is known by itself, and one that was never seen gets nothing.
    const described = { ...resources, pods: resources.pods.filter((pod) => !isOfCluster(pod)) };
    for (const { namespace, name, labels, serviceAccount, ports } of workloadsOf(described)) {
      const key = `${namespace}/${name}`;
      // A Deployment and a StatefulSet may share a name; the first one keeps it.
      if (this.#workloads.has(key)) continue;
      const workload = { namespace, name, labels, serviceAccount, ports };
      this.#workloads.set(key, again(previous?.workload(key), workload));
    }
    const policies: readonly PolicyResource[] = [
      ...resources.authorizationPolicies,
      ...requestAuthentications,
      ...resources.peerAuthentications,
    ];
    this.#written = [
      ...policies,
      ...resources.serviceEntries,
      ...resources.workloadEntries,
      ...resources.sidecars,
      ...resources.telemetries,
      ...resources.destinationRules,
      ...resources.circuitBreakers,
      ...resources.healthChecks,
      ...resources.virtualServices,
      ...resources.httpRoutes,
      ...resources.grpcRoutes,
      ...resources.extensions,
    ];
    const { rootNamespace } = this.mesh;
    this.#policies = new PolicyLists(policies, rootNamespace, previous && previous.#policies);
  }

  /** Of each resource that users write for the mesh, by `Kind/namespace/name`; 0 of what was written in a file. */
  get generations(): ReadonlyMap<string, number> {
    // Only reports ask, and not after each change.
    this.#generations ??= new Map(
      this.#written.map((one) => [resourceKey(one), one.metadata.generation ?? 0]),
    );
    return this.#generations;
  }

  /** The key of what a sidecar may have; it may stand for nothing. */
  keyOf({ namespace, workload, pod }: Asking): string {
    return this.#pods.keyOf(`${namespace}/${pod}`, workload) ?? `${namespace}/${workload}`;
  }

  /** @param key as `keyOf` or `keys` gives it; `namespace/name` of a workload that is described as such */
  workload(key: string): Workload | undefined {
    return this.#workloads.get(key) ?? this.#pods.workload(key);
  }

  keys(): Iterable<string> {
    return [...this.#workloads.keys(), ...this.#pods.keys()];
  }

  services(namespace: string): readonly Service[] {
    return this.#catalog.visibleTo(namespace);
  }

  /** How its calls are routed; empty: nothing is said. */
  routes(workload: Workload): readonly RouteGroup[] {
    return this.#routes.of(workload);
  }

  /** What became of a route of the Gateway API, parent by parent. @param key `HTTPRoute/namespace/name` */
  routeVerdicts(key: string): readonly (ParentVerdict | null)[] {
    return this.#routes.verdicts(key);
  }

  extensions(workload: Workload): ExtensionResource[] {
    return this.#extensions.of(workload);
  }

  scope(workload: Workload): Scope {
    return this.#scopes.of(workload);
  }

  /** Null: nobody says anything of it. */
  telemetry(workload: Workload): TelemetrySettings | null {
    return this.#telemetries.of(workload);
  }

  /** What is said of calls to its own ports. @param sidecar the one that is for it */
  inbound(workload: Workload, sidecar: Sidecar | null): InboundPort[] {
    return inboundPorts({
      workload,
      sidecar,
      mesh: this.mesh,
      servedPool: (served) => this.#destinations.servedPool(workload, served),
    });
  }

  destinations(workload: Workload, services: readonly Service[]): readonly DestinationPolicy[] {
    return this.#destinations.of(workload, services);
  }

  /** Policies that may apply to a workload, by kind and then oldest first. */
  policies(workload: Workload): readonly PolicyResource[] {
    return this.#policies.of(workload);
  }
}

function again<T>(old: T | undefined, value: T): T {
  return old !== undefined && isDeepStrictEqual(old, value) ? old : value;
}
