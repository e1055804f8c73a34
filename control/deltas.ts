// The difference of two snapshots, as small as it can be said.
import { isDeepStrictEqual } from 'node:util';

import type { ListDelta, Service, Snapshot, SnapshotDelta } from '#api/snapshot.ts';

import { resourceKey } from './made-of.ts';

/** Key of a service in a delta. */
export function serviceKey(service: Service): string {
  return `${service.namespace}/${service.name}`;
}

/** What turns `from` into `to`. Objects that both share are taken as equal without a look inside. */
export function diffSnapshots(from: Snapshot, to: Snapshot): SnapshotDelta {
  const policies = diffList(from.policies, to.policies, resourceKey);
  const services = diffShared(from.services, to.services, serviceKey);
  const routes = diffShared(from.routes, to.routes, ({ key }) => key);
  const destinations = diffShared(from.destinations, to.destinations, ({ host }) => host);
  const extensions = diffList(from.extensions ?? none, to.extensions ?? none, resourceKey);
  return {
    from: from.version,
    to: to.version,
    ...(!same(from.mesh, to.mesh) && { mesh: to.mesh }),
    ...(!same(from.workload, to.workload) && { workload: to.workload }),
    ...(policies !== null && { policies }),
    ...(services !== null && { services }),
    ...(routes !== null && { routes }),
    ...(destinations !== null && { destinations }),
    ...(extensions !== null && { extensions }),
    ...(!same(from.scope, to.scope) && { scope: to.scope ?? null }),
    ...(!same(from.telemetry, to.telemetry) && { telemetry: to.telemetry ?? null }),
    ...(!same(from.inbound, to.inbound) && { inbound: to.inbound ?? [] }),
  };
}

/** What a snapshot without a list is compared as: always the same one, so that two of them are equal at a glance. */
const none: readonly never[] = [];
/** By the later list and then the earlier one. */
const sharedDeltas = new WeakMap<object, WeakMap<object, ListDelta<unknown> | null>>();

/** All workloads of a namespace share these lists, so one comparison serves them all. */
function diffShared<T>(
  from: readonly T[] = none,
  to: readonly T[] = none,
  keyOf: (item: T) => string,
): ListDelta<T> | null {
  if (from === to) return null;
  let known = sharedDeltas.get(to);
  if (known === undefined) {
    known = new WeakMap();
    sharedDeltas.set(to, known);
  }
  // A list has items of one type, so what is known of it has them too.
  let delta = known.get(from) as ListDelta<T> | null | undefined;
  if (delta === undefined) {
    delta = diffList(from, to, keyOf);
    known.set(from, delta);
  }
  return delta;
}

/** Whether a delta says that nothing but the number changed. */
export function isEmptyDelta(delta: SnapshotDelta): boolean {
  return Object.keys(delta).every((field) => field === 'from' || field === 'to');
}

/** Null: the lists are equal. Keys must be unique within each list. */
export function diffList<T>(
  from: readonly T[],
  to: readonly T[],
  keyOf: (item: T) => string,
): ListDelta<T> | null {
  if (from === to) return null;
  const aligned = diffAligned(from, to, keyOf);
  if (aligned !== undefined) return aligned;
  const before = new Map(from.map((item) => [keyOf(item), item]));
  const after = new Map(to.map((item) => [keyOf(item), item]));
  const set = to.filter((item) => !same(before.get(keyOf(item)), item));
  const remove = [...before.keys()].filter((key) => !after.has(key));
  // What the receiver gets without `order`: old keys in their place, new ones at the end.
  const kept = [...before.keys()].filter((key) => after.has(key));
  const added = [...after.keys()].filter((key) => !before.has(key));
  const order = [...after.keys()];
  const implied = [...kept, ...added].every((key, index) => key === order[index]);
  if (set.length === 0 && remove.length === 0 && implied) return null;
  return implied ? { set, remove } : { set, remove, order };
}

/** Of lists with the same keys in the same order, as nearly all are: one look at each item. Undefined: they are none. */
function diffAligned<T>(
  from: readonly T[],
  to: readonly T[],
  keyOf: (item: T) => string,
): ListDelta<T> | null | undefined {
  if (from.length !== to.length) return undefined;
  const set: T[] = [];
  for (const [i, item] of to.entries()) {
    const old = from[i];
    if (old === item) continue;
    if (old === undefined || keyOf(old) !== keyOf(item)) return undefined;
    if (!same(old, item)) set.push(item);
  }
  return set.length === 0 ? null : { set, remove: [] };
}

function same(a: unknown, b: unknown): boolean {
  return a === b || isDeepStrictEqual(a, b);
}
