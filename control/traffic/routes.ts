// How the calls of each workload are routed: VirtualServices and routes of the Gateway API, in the order in which they count.
import { isDeepStrictEqual } from 'node:util';

import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { audienceOf } from '#api/traffic/audience.ts';
import { isWildcard } from '#api/traffic/host.ts';
import type { RouteGroup } from '#api/traffic/route.ts';

import { keptFor } from '../made-of.ts';
import { sameItems } from '../same-items.ts';
import { type AttachedRoutes, AttachedRouteSets, compare, createdAt } from './attached-routes.ts';
import { delegateKey, type Delegates } from './delegate.ts';
import { type ParentVerdict, RouteVerdicts } from './route-verdicts.ts';
import { withoutShadowed } from './shadows.ts';
import { type Caller, VirtualServiceProgram } from './virtual-service.ts';

/** What routes are made of. */
const inputFields = [
  'virtualServices',
  'httpRoutes',
  'grpcRoutes',
  'referenceGrants',
  'services',
  'serviceEntries',
] as const;

type Source = VirtualServiceProgram | AttachedRoutes;

interface Sources {
  readonly all: readonly Source[];
  /** Those that treat some callers differently. */
  readonly telling: readonly VirtualServiceProgram[];
}

export class Routes {
  readonly #inputs: MeshResources;
  readonly #programs = new Map<string, VirtualServiceProgram>();
  readonly #attached: AttachedRouteSets;
  readonly #verdicts: RouteVerdicts;
  /** By namespace of the caller: what may route its calls, what counts first coming first. */
  readonly #sources = new Map<string, Sources>();
  readonly #lists = new Map<string, readonly RouteGroup[]>();
  /** The lists of the last routes. */
  readonly #before: ReadonlyMap<string, readonly RouteGroup[]>;

  /** @param previous what of it is still true is used again, the same objects */
  constructor(mesh: MeshResources, previous: Routes | null) {
    this.#inputs = mesh;
    this.#before = previous === null ? new Map() : previous.#lists;
    // Endpoints change all day, and say nothing here.
    if (
      previous !== null &&
      inputFields.every((field) => sameItems(mesh[field], previous.#inputs[field]))
    ) {
      this.#verdicts = previous.#verdicts;
      this.#programs = previous.#programs;
      this.#attached = previous.#attached;
      this.#sources = previous.#sources;
      this.#lists = previous.#lists;
      return;
    }
    this.#verdicts = new RouteVerdicts(mesh);
    const byName = new Map(mesh.virtualServices.map((one) => [nameKey(one), one]));
    for (const [key, resource] of byName) {
      const delegates = delegatesOf(resource, byName);
      const old = previous === null ? undefined : previous.#programs.get(key);
      const kept =
        old !== undefined && isDeepStrictEqual(old.inputs, [resource, ...delegates.values()]);
      this.#programs.set(key, kept ? old : new VirtualServiceProgram(resource, delegates));
    }
    this.#attached = new AttachedRouteSets(mesh, previous === null ? null : previous.#attached);
  }

  /** For its calls, the most specific hosts first. The same list while nothing changes. */
  of(workload: Caller): readonly RouteGroup[] {
    const { all, telling } = this.#sourcesFor(workload.namespace);
    // Callers that nothing tells apart share a list.
    const key = `${workload.namespace} ${telling.map((one) => one.kindOf(workload)).join('')}`;
    let list = this.#lists.get(key);
    if (list === undefined) {
      list = this.#build(all, workload, key);
      this.#lists.set(key, list);
    }
    return list;
  }

  /** What became of a route of the Gateway API, parent by parent. @param key `HTTPRoute/namespace/name` */
  verdicts(key: string): readonly (ParentVerdict | null)[] {
    return this.#verdicts.of(key);
  }

  #build(sources: readonly Source[], caller: Caller, key: string): readonly RouteGroup[] {
    const groups = sources.flatMap((one) =>
      one instanceof VirtualServiceProgram ? one.groupsFor(caller) : one.groups,
    );
    const old = this.#before.get(key) ?? [];
    const before = new Map(old.map((group) => [group.key, group]));
    const list = withoutShadowed(groups)
      .toSorted((a, b) => breadth(a) - breadth(b))
      .map((group) => again(before.get(group.key), group));
    return sameItems(old, list) ? old : list;
  }

  /**
   * As Istio's sidecars: what is exported to the namespace alone, then routes of the namespace itself, then the oldest.
   * Of several that name a host the first counts, whole: only gateways merge them.
   */
  #sourcesFor(namespace: string): Sources {
    let sources = this.#sources.get(namespace);
    if (sources === undefined) {
      const programs = [...this.#programs.values()].filter(
        (one) => one.inMesh && audience(one.resource, namespace) !== 'none',
      );
      const attached = this.#attached.all.filter(
        (one) => one.producer || one.namespace === namespace,
      );
      const all = [...programs, ...attached]
        .map((source, index) => ({ source, index, rank: rankOf(source, namespace) }))
        .toSorted(
          (a, b) =>
            a.rank - b.rank ||
            compare(createdOf(a.source), createdOf(b.source)) ||
            a.index - b.index,
        )
        .map(({ source }) => source);
      const telling = all
        .filter((one) => one instanceof VirtualServiceProgram)
        .filter((one) => one.tellsApart);
      sources = { all, telling };
      this.#sources.set(namespace, sources);
    }
    return sources;
  }
}

function delegatesOf(root: VirtualService, byName: ReadonlyMap<string, VirtualService>): Delegates {
  const { namespace } = root.metadata;
  const delegates = new Map<string, VirtualService>();
  for (const rule of root.spec.http) {
    const key = delegateKey(rule, namespace);
    const found = key === null ? undefined : byName.get(key);
    if (key === null || found === undefined || found.spec.hosts.length > 0) continue;
    if (audience(found, namespace) !== 'none') delegates.set(key, found);
  }
  return delegates;
}

/** Whether a VirtualService is for callers of a namespace, and for them by name. */
function audience({ spec, metadata }: VirtualService, namespace: string): 'all' | 'named' | 'none' {
  const named = audienceOf(spec.exportTo, metadata.namespace);
  if (named === null) return 'all';
  return named.has(namespace) ? 'named' : 'none';
}

function rankOf(source: Source, namespace: string): number {
  if (!(source instanceof VirtualServiceProgram)) return source.namespace === namespace ? 2 : 3;
  const { resource } = source;
  if (audience(resource, namespace) === 'all') return 3;
  return resource.metadata.namespace === namespace ? 0 : 1;
}

function createdOf(source: Source): string {
  return source instanceof VirtualServiceProgram ? createdAt(source.resource) : source.created;
}

/** Names before wildcards, the longest of them first; each group has either names or one wildcard. */
function breadth({ hosts: [host = ''] }: RouteGroup): number {
  return isWildcard(host) ? 1000 - host.length : 0;
}

function nameKey({ metadata }: VirtualService): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** One that something was taken from is made anew each time. */
function again(old: RouteGroup | undefined, group: RouteGroup): RouteGroup {
  if (old === undefined || old === group || !isDeepStrictEqual(old, group)) return group;
  return keptFor(old, group);
}
