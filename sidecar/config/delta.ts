// Applies a delta of control to the snapshot in force.
import type { ListDelta, Service, Snapshot, SnapshotDelta } from '#api/snapshot.ts';

/** Why a delta cannot be applied; the receiver asks for a whole snapshot by refusing it. */
export class DeltaMismatch extends Error {
  override readonly name = 'DeltaMismatch';
}

/** The snapshot that `delta` leads to; `base` is not changed. Throws DeltaMismatch. */
export function applyDelta(base: Snapshot, delta: SnapshotDelta): Snapshot {
  if (delta.from !== base.version) {
    throw new DeltaMismatch(`the delta starts from ${delta.from}, in force is ${base.version}`);
  }
  const routes = applyOptional(base.routes, delta.routes, ({ key }) => key);
  const destinations = applyOptional(base.destinations, delta.destinations, ({ host }) => host);
  const extensions = applyOptional(base.extensions, delta.extensions, resourceKey);
  const scope = delta.scope === undefined ? base.scope : (delta.scope ?? undefined);
  const telemetry = delta.telemetry === undefined ? base.telemetry : (delta.telemetry ?? undefined);
  const inbound = delta.inbound ?? base.inbound ?? [];
  return {
    version: delta.to,
    mesh: delta.mesh ?? base.mesh,
    workload: delta.workload ?? base.workload,
    policies: applyList(base.policies, delta.policies, resourceKey),
    services: applyList(base.services, delta.services, serviceKey, ({ name }) => name),
    ...(routes !== undefined && { routes }),
    ...(destinations !== undefined && { destinations }),
    ...(extensions !== undefined && { extensions }),
    ...(scope !== undefined && { scope }),
    ...(telemetry !== undefined && { telemetry }),
    ...(inbound.length > 0 && { inbound }),
  };
}

function applyOptional<T>(
  base: readonly T[] | undefined,
  delta: ListDelta<T> | undefined,
  keyOf: (item: T) => string,
): readonly T[] | undefined {
  return delta === undefined ? base : applyList(base ?? [], delta, keyOf);
}

/** @param hintOf equal for equal keys, and cheaper: of a thousand services mostly one has changed */
function applyList<T>(
  base: readonly T[],
  delta: ListDelta<T> | undefined,
  keyOf: (item: T) => string,
  hintOf: (item: T) => string = keyOf,
): readonly T[] {
  if (delta === undefined) return base;
  const removed = new Set(delta.remove);
  const set = new Map(delta.set.map((item) => [keyOf(item), item]));
  const hints = removed.size === 0 ? new Set(delta.set.map(hintOf)) : null;
  const kept: T[] = [];
  for (const item of base) {
    if (hints?.has(hintOf(item)) === false) {
      kept.push(item);
      continue;
    }
    const key = keyOf(item);
    const replacement = set.get(key);
    if (replacement !== undefined) {
      kept.push(replacement);
      set.delete(key);
    } else if (!removed.has(key)) kept.push(item);
  }
  // New ones come last, in the order of `set`.
  const result = [...kept, ...set.values()];
  return delta.order === undefined ? result : inOrder(result, delta.order, keyOf);
}

function inOrder<T>(
  list: readonly T[],
  order: readonly string[],
  keyOf: (item: T) => string,
): readonly T[] {
  const items = new Map(list.map((item) => [keyOf(item), item]));
  if (order.length !== items.size) {
    throw new DeltaMismatch(`the order names ${order.length} of ${items.size} items`);
  }
  // Each key once: a repeated one would hide that another is missing, perhaps a DENY policy.
  return order.map((key) => {
    const item = items.get(key);
    if (item === undefined) throw new DeltaMismatch(`the order names ${key}, which is not there`);
    items.delete(key);
    return item;
  });
}

function resourceKey({ kind, metadata }: Keyed): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

interface Keyed {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
}

function serviceKey(service: Service): string {
  return `${service.namespace}/${service.name}`;
}
