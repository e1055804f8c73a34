// What became of a route of the Gateway API at each of its parents, in the words of the Gateway API.
import type { BackendObjectRef, ParentRef } from '#api/kinds/gateway-route.ts';
import type { MeshResources } from '#api/mesh.ts';

import { backendRefsOf } from './attached-routes.ts';
import { unservedFilter } from './filters.ts';
import type { GatewayRoute } from './gateway-route.ts';
import { isMeshParent, References } from '#api/traffic/references.ts';

export interface Verdict {
  readonly holds: boolean;
  readonly reason: string;
  readonly message: string;
}

/** Of one parent that is a Service or a service entry. */
export interface ParentVerdict {
  readonly accepted: Verdict;
  readonly resolvedRefs: Verdict;
}

export class RouteVerdicts {
  readonly #mesh: MeshResources;
  #references: References | null = null;
  #routes: ReadonlyMap<string, GatewayRoute> | null = null;

  /** Nothing is looked at before somebody asks. */
  constructor(mesh: MeshResources) {
    this.#mesh = mesh;
  }

  /** By the order of the route's parents; null for one that is none of ours. @param key `HTTPRoute/namespace/name` */
  of(key: string): readonly (ParentVerdict | null)[] {
    this.#routes ??= new Map(
      [...this.#mesh.httpRoutes, ...this.#mesh.grpcRoutes].map((one) => [
        `${one.kind}/${nameKey(one)}`,
        one,
      ]),
    );
    const route = this.#routes.get(key);
    if (route === undefined) return [];
    this.#references ??= new References(this.#mesh);
    const references = this.#references;
    return route.spec.parentRefs.map((ref) => {
      if (!isMeshParent(ref)) return null;
      const verdict = verdictOf(route, ref, references);
      const other = this.#moreSpecific(route, ref);
      if (!verdict.accepted.holds || other === undefined) return verdict;
      const message = `GRPCRoute ${nameKey(other)} has the parent too, and comes before it`;
      return { ...verdict, accepted: { holds: false, reason: 'Conflicted', message } };
    });
  }

  /** Gateway API: of two kinds that are attached to one port of a Service only the more specific one counts. */
  #moreSpecific(
    route: GatewayRoute,
    { kind, name, port, ...ref }: ParentRef,
  ): GatewayRoute | undefined {
    if (route.kind === 'GRPCRoute') return undefined;
    const { namespace } = route.metadata;
    return this.#mesh.grpcRoutes.find(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        spec.rules.length > 0 &&
        spec.parentRefs.some(
          (one) =>
            isMeshParent(one) &&
            one.kind === kind &&
            one.name === name &&
            (one.namespace ?? namespace) === (ref.namespace ?? namespace) &&
            (one.port === undefined || one.port === port),
        ),
    );
  }
}

function nameKey({ metadata }: GatewayRoute): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function verdictOf(route: GatewayRoute, ref: ParentRef, references: References): ParentVerdict {
  const { namespace } = route.metadata;
  const parent = references.parent(ref, namespace);
  const accepted: Verdict =
    parent === null || parent === undefined
      ? { holds: false, reason: 'NoMatchingParent', message: missingParent(ref, namespace) }
      : { holds: true, reason: 'Accepted', message: 'calls of the parent are routed by it' };
  const shared = (ref.namespace ?? namespace) === namespace;
  return { accepted, resolvedRefs: resolvedRefs(route, shared, references) };
}

function missingParent({ kind, name, port, ...ref }: ParentRef, namespace: string): string {
  const what = `${kind} ${ref.namespace ?? namespace}/${name}`;
  return port === undefined ? `there is no ${what}` : `there is no ${what} with the port ${port}`;
}

function resolvedRefs(route: GatewayRoute, shared: boolean, references: References): Verdict {
  const { kind, metadata, spec } = route;
  const from = { kind, namespace: metadata.namespace };
  const unresolved = backendRefsOf(route).flatMap((ref: BackendObjectRef) => {
    const found = references.backend(ref, from, shared).unresolved;
    return found === undefined ? [] : [found];
  });
  for (const { filters = [] } of spec.rules) {
    const filter = unservedFilter(filters);
    if (filter === null) continue;
    unresolved.push({ reason: 'InvalidKind', message: `the filter ${filter} is not served` });
  }
  const [first] = unresolved;
  if (first === undefined) {
    return { holds: true, reason: 'ResolvedRefs', message: 'all references are resolved' };
  }
  const messages = [...new Set(unresolved.map(({ message }) => message))];
  return { holds: false, reason: first.reason, message: messages.join('; ') };
}
