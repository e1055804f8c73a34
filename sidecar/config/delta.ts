// Applies a delta of control to the snapshot in force.
import type { PolicyResource, Service, Snapshot, SnapshotDelta } from '#api/snapshot.ts';

/** Why a delta cannot be applied; the receiver asks for a whole snapshot by refusing it. */
export class DeltaMismatch extends Error {
  override readonly name = 'DeltaMismatch';
}

/** The snapshot that `delta` leads to; `base` is not changed. Throws DeltaMismatch. */
export function applyDelta(base: Snapshot, delta: SnapshotDelta): Snapshot {
  if (delta.from !== base.version) {
    throw new DeltaMismatch(`the delta starts from ${delta.from}, in force is ${base.version}`);
  }
  return {
    version: delta.to,
    mesh: delta.mesh ?? base.mesh,
    workload: delta.workload ?? base.workload,
    policies:
      delta.policies === undefined
        ? base.policies
        : applyList(base.policies, delta.policies, policyKey),
    services:
      delta.services === undefined
        ? base.services
        : applyList(base.services, delta.services, serviceKey),
  };
}

interface ListDelta<T> {
  readonly set: readonly T[];
  readonly remove: readonly string[];
  readonly order?: readonly string[];
}

function applyList<T>(
  base: readonly T[],
  delta: ListDelta<T>,
  keyOf: (item: T) => string,
): readonly T[] {
  const items = new Map(base.map((item) => [keyOf(item), item]));
  for (const key of delta.remove) items.delete(key);
  for (const item of delta.set) items.set(keyOf(item), item);
  if (delta.order === undefined) return [...items.values()];
  if (delta.order.length !== items.size) {
    throw new DeltaMismatch(`the order names ${delta.order.length} of ${items.size} items`);
  }
  // Each key once: a repeated one would hide that another is missing, perhaps a DENY policy.
  return delta.order.map((key) => {
    const item = items.get(key);
    if (item === undefined) throw new DeltaMismatch(`the order names ${key}, which is not there`);
    items.delete(key);
    return item;
  });
}

function policyKey(policy: PolicyResource): string {
  return `${policy.kind}/${policy.metadata.namespace}/${policy.metadata.name}`;
}

function serviceKey(service: Service): string {
  return `${service.namespace}/${service.name}`;
}
