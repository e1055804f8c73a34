// Which resources the parts of a snapshot were made of. Sidecars are not told, so it costs nothing on the wire.
import { sameItems } from './same-items.ts';

/** A resource, as far as reports name it. */
export interface Written {
  readonly kind: string;
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly generation?: number;
  };
}

/** `Kind/namespace/name` */
export function resourceKey({ kind, metadata }: Written): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

const nothing: readonly Written[] = [];
const written = new WeakMap<object, readonly Written[]>();
let changes = 0;

/** Remembers it, and gives what was made. */
export function madeFrom<T extends object>(made: T, resources: readonly Written[]): T {
  if (resources.length > 0) written.set(made, resources);
  return made;
}

/**
 * An object that is used on, because what was made anew is equal: whoever has it has the newest generation of what both
 * were made of. @returns it
 */
export function keptFor<T extends object>(kept: T, made: T): T {
  if (kept === made) return kept;
  const resources = madeOf(made);
  if (sameItems(madeOf(kept), resources)) return kept;
  written.set(kept, resources);
  changes += 1;
  return kept;
}

export function madeOf(made: object): readonly Written[] {
  return written.get(made) ?? nothing;
}

/** Grows when something that is used on is found to be made of other resources, or of other generations of them. */
export function madeOfChanges(): number {
  return changes;
}
