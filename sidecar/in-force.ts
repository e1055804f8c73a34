// The snapshot in force, compiled: the one place that is swapped when control pushes a new one.
import type { Snapshot } from '#api/snapshot.ts';
import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';

import { compileCaches, type Caches } from './cache/compile.ts';
import { compileFilters, retireUnused, type Filters } from './filter/compile.ts';
import { compileRoutes, type RouteTable } from './outbound/routes.ts';
import { noRegexes, type RegexFactory } from './routing/regex.ts';
import { compileRouteIndex, type RouteIndex } from './routing/route-index.ts';
import { compileTransforms, type Transforms } from './transform/compile.ts';

/** Everything compiled from one snapshot. Immutable; a request reads it once. */
export interface Enforced {
  readonly snapshot: Snapshot;
  readonly policies: CompiledPolicies;
  readonly routes: RouteTable;
  readonly routing: RouteIndex;
  /** Null: there are none. */
  readonly filters: Filters | null;
  /** Null: nothing is cached. */
  readonly caches: Caches | null;
  /** Null: nothing is transformed. */
  readonly transforms: Transforms | null;
}

export class InForce {
  #current: Enforced | null = null;
  readonly #listeners: ((enforced: Enforced) => void)[] = [];

  /** Null before the first snapshot. */
  current(): Enforced | null {
    return this.#current;
  }

  /**
   * Compiles a snapshot and puts it in force, then tells the listeners in the order in which they
   * came. Throws, with nothing changed, when the snapshot cannot be compiled.
   * @param regexes prepared for the snapshot
   */
  apply(snapshot: Snapshot, regexes: RegexFactory = noRegexes): void {
    const { mesh, workload, policies } = snapshot;
    const previous = this.#current;
    const enforced = Object.freeze({
      snapshot,
      policies: compilePolicies({ mesh, workload, policies }),
      routes: compileRoutes(snapshot),
      routing: compileRouteIndex(snapshot.routes ?? [], regexes),
      filters: compileFilters(snapshot.extensions, previous?.filters ?? null),
      caches: compileCaches(snapshot.extensions, previous?.caches ?? null),
      transforms: compileTransforms(snapshot.extensions, regexes),
    });
    this.#current = enforced;
    retireUnused(previous?.filters ?? null, enforced.filters);
    for (const listener of this.#listeners) listener(enforced);
  }

  /** Calls `listener` with each new snapshot, before any request is judged by it. */
  onChange(listener: (enforced: Enforced) => void): void {
    this.#listeners.push(listener);
  }
}
