// The routes of the Gateway API that are attached to Services, put together host by host.
import type { BackendObjectRef } from '#api/kinds/gateway-route.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { RouteGroup } from '#api/traffic/route.ts';

import { madeFrom } from '../made-of.ts';
import { compileGatewayRoute, type GatewayRoute, type RankedRoute } from './gateway-route.ts';
import { References } from '#api/traffic/references.ts';

/** All routes of one namespace for one host. */
export interface AttachedRoutes {
  readonly host: string;
  /** Where the routes are. */
  readonly namespace: string;
  /** Every caller's: they are where their Service is. Otherwise only callers of `namespace` go by them. */
  readonly producer: boolean;
  /** Of the oldest; '' where nothing is known of its age. */
  readonly created: string;
  readonly groups: readonly RouteGroup[];
}

interface Compiled {
  readonly resource: GatewayRoute;
  /** What all references came to: the other half of what it was made of. */
  readonly resolved: string;
  readonly ranked: readonly RankedRoute[];
}

interface Attachment {
  readonly compiled: Compiled;
  /** 0: every port. */
  readonly port: number;
}

interface Unit {
  readonly host: string;
  readonly namespace: string;
  readonly producer: boolean;
  readonly attachments: Attachment[];
}

export class AttachedRouteSets {
  readonly all: readonly AttachedRoutes[];
  readonly #compiled = new Map<string, Compiled>();
  readonly #units = new Map<string, { readonly unit: Unit; readonly routes: AttachedRoutes }>();

  /** @param previous what of it is still true is used again, the same objects */
  constructor(mesh: MeshResources, previous: AttachedRouteSets | null) {
    const references = new References(mesh);
    const units = new Map<string, Unit>();
    for (const resource of [...mesh.grpcRoutes, ...mesh.httpRoutes]) {
      this.#attach(resource, references, units, previous);
    }
    this.all = [...units].map(([key, unit]) => {
      const old = previous === null ? undefined : previous.#units.get(key);
      const routes =
        old !== undefined && sameUnit(old.unit, unit) ? old.routes : attachedRoutes(unit);
      this.#units.set(key, { unit, routes });
      return routes;
    });
  }

  #attach(
    resource: GatewayRoute,
    references: References,
    units: Map<string, Unit>,
    previous: AttachedRouteSets | null,
  ): void {
    const { namespace } = resource.metadata;
    for (const ref of resource.spec.parentRefs) {
      const parent = references.parent(ref, namespace);
      if (parent === null || parent === undefined) continue;
      const producer = parent.namespace === namespace;
      const compiled = this.#compile(resource, references, producer, previous);
      if (compiled.ranked.length === 0) continue;
      for (const host of parent.hosts) {
        const key = `${namespace}/${host}`;
        const unit = units.get(key) ?? { host, namespace, producer, attachments: [] };
        units.set(key, unit);
        unit.attachments.push({ compiled, port: ref.port ?? 0 });
      }
    }
  }

  #compile(
    resource: GatewayRoute,
    references: References,
    producer: boolean,
    previous: AttachedRouteSets | null,
  ): Compiled {
    const { kind, metadata } = resource;
    const key = `${kind}/${metadata.namespace}/${metadata.name}/${producer ? 'all' : 'own'}`;
    const present = this.#compiled.get(key);
    if (present !== undefined) return present;
    const resolve = (ref: BackendObjectRef): ReturnType<References['backend']> =>
      references.backend(ref, { kind, namespace: metadata.namespace }, producer);
    const resolved = backendRefsOf(resource)
      .map((ref) => resolve(ref).unresolved?.message ?? '')
      .join('\n');
    const old = previous === null ? undefined : previous.#compiled.get(key);
    const same = old !== undefined && old.resource === resource && old.resolved === resolved;
    const compiled = same
      ? old
      : { resource, resolved, ranked: compileGatewayRoute(resource, resolve) };
    this.#compiled.set(key, compiled);
    return compiled;
  }
}

/** Of rules and of mirrors. */
export function backendRefsOf({ spec }: GatewayRoute): BackendObjectRef[] {
  return spec.rules.flatMap(({ backendRefs = [], filters = [] }): BackendObjectRef[] => [
    ...backendRefs,
    ...filters.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []),
  ]);
}

function sameUnit(a: Unit, b: Unit): boolean {
  return (
    a.producer === b.producer &&
    a.attachments.length === b.attachments.length &&
    a.attachments.every(({ compiled, port }, i) => {
      const other = b.attachments[i];
      return compiled === other?.compiled && port === other.port;
    })
  );
}

function attachedRoutes({ host, namespace, producer, attachments }: Unit): AttachedRoutes {
  // Gateway API: where both are attached to one port, only the more specific kind counts.
  const groups = (['GRPCRoute', 'HTTPRoute'] as const).flatMap((kind) => {
    const own = attachments.filter(({ compiled }) => compiled.resource.kind === kind);
    return groupsOf(`${kind}/${namespace}/${host}`, host, own);
  });
  const created = attachments
    .map(({ compiled }) => createdAt(compiled.resource))
    .reduce((oldest, one) => (one < oldest ? one : oldest));
  return { host, namespace, producer, created, groups };
}

function groupsOf(key: string, host: string, attachments: readonly Attachment[]): RouteGroup[] {
  const ports = new Set(attachments.map(({ port }) => port));
  return [...ports]
    .toSorted((a, b) => (a === 0 ? 1 : b === 0 ? -1 : a - b))
    .map((port) => {
      const own = attachments.filter((one) => one.port === 0 || one.port === port);
      // One that names the Service and its port is attached twice.
      const compiled = [...new Set(own.map((one) => one.compiled))];
      const group: RouteGroup = {
        key: port === 0 ? key : `${key} ${port}`,
        hosts: [host],
        port,
        http: inOrder(compiled),
        tls: [],
        tcp: [],
      };
      return madeFrom(
        group,
        compiled.map(({ resource }) => resource),
      );
    });
}

/** Gateway API's order: the most specific match, then the oldest route, its name, and the order in it. */
function inOrder(compiled: readonly Compiled[]): RouteGroup['http'] {
  return compiled
    .toSorted((a, b) => compareRoutes(a.resource, b.resource))
    .flatMap(({ ranked }) => ranked)
    .toSorted((a, b) => compareRanks(a.rank, b.rank))
    .map(({ route }) => route);
}

export function compareRoutes(a: GatewayRoute, b: GatewayRoute): number {
  return (
    compare(createdAt(a), createdAt(b)) ||
    compare(a.metadata.namespace, b.metadata.namespace) ||
    compare(a.metadata.name, b.metadata.name)
  );
}

/** Greater ones first. */
export function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (b[i] ?? 0) - (a[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Where nothing is known of ages, all are equally old. */
export function createdAt({ metadata }: Pick<GatewayRoute, 'metadata'>): string {
  return metadata.creationTimestamp ?? '';
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
