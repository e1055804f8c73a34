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
/** A form of an object -> that object, of whose resources it is made. */
const origins = new WeakMap<object, object>();
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

/** Remembers that one object is a form of another, now and when that is found to be made of others; and gives the form. */
export function madeLike<T extends object>(form: T, origin: object): T {
  if (form === origin || origins.get(form) === origin) return form;
  const before = origins.has(form) ? madeOf(form) : null;
  origins.set(form, origin);
  if (before !== null && !sameItems(before, madeOf(origin))) changes += 1;
  return form;
}

export function madeOf(made: object): readonly Written[] {
  const origin = origins.get(made);
  return origin === undefined ? (written.get(made) ?? nothing) : madeOf(origin);
}

/** Grows when something that is used on is found to be made of other resources, or of other generations of them. */
export function madeOfChanges(): number {
  return changes;
}
