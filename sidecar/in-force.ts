// The snapshot in force, compiled: the one place that is swapped when control pushes a new one.
import type { Snapshot } from '#api/snapshot.ts';
import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';

import {
  closeUnused,
  compileLimits,
  type CompiledLimits,
  type LimitTables,
} from './limit/compile.ts';
import { compileRoutes, type RouteTable } from './outbound/routes.ts';

/** Everything compiled from one snapshot. Immutable; a request reads it once. */
export interface Enforced {
  readonly snapshot: Snapshot;
  readonly policies: CompiledPolicies;
  readonly routes: RouteTable;
  /** Null: nothing is limited. */
  readonly limits: CompiledLimits | null;
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
   * @param tables counts of limits that another thread of the process has made
   */
  apply(snapshot: Snapshot, tables: LimitTables | null = null): void {
    const { mesh, workload, policies: resources, extensions } = snapshot;
    const previous = this.#current?.limits ?? null;
    const policies = compilePolicies({ mesh, workload, policies: resources });
    const { trustDomains } = policies;
    const limits = compileLimits(extensions, { trustDomains, previous, tables });
    const enforced = Object.freeze({
      snapshot,
      policies,
      routes: compileRoutes(snapshot),
      limits,
    });
    this.#current = enforced;
    closeUnused(previous, limits);
    for (const listener of this.#listeners) listener(enforced);
  }

  /** Calls `listener` with each new snapshot, before any request is judged by it. */
  onChange(listener: (enforced: Enforced) => void): void {
    this.#listeners.push(listener);
  }
}
