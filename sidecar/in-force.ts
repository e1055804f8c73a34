// The snapshot in force, compiled: the one place that is swapped when control pushes a new one.
import type { Snapshot } from '#api/snapshot.ts';
import { compileApiKeys, type ApiKeys } from '#policy/api-keys/compile.ts';
import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';

import { compileCaches, type Caches } from './cache/compile.ts';
import { compileFilters, retireUnused, type Filters } from './filter/compile.ts';
import { compileTransforms, type Transforms } from './transform/compile.ts';
import {
  closeUnused,
  compileLimits,
  type CompiledLimits,
  type LimitTables,
} from './limit/compile.ts';
import { compileExchanges, type Exchanges } from './credentials/exchanges.ts';
import { compileRoutes, type RouteTable } from './outbound/routes.ts';
import { noRegexes, type RegexFactory } from './routing/regex.ts';
import { compileRouteIndex, type RouteIndex } from './routing/route-index.ts';
import { Unchanged } from './unchanged.ts';

const noGroups: NonNullable<Snapshot['routes']> = Object.freeze([]);

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
  /** Null: nothing is limited. */
  readonly limits: CompiledLimits | null;
  /** Null: no request needs a key. */
  readonly apiKeys: ApiKeys | null;
  /** Null: no call gets another token. */
  readonly exchanges: Exchanges | null;
}

/** What a snapshot needs that cannot be made while it is put in force. */
export interface Prepared {
  readonly regexes?: RegexFactory;
  /** Counts of limits that another thread of the process has made. */
  readonly tables?: LimitTables | null;
}

export class InForce {
  #current: Enforced | null = null;
  readonly #policies = new Unchanged<CompiledPolicies>();
  readonly #routing = new Unchanged<RouteIndex>();
  readonly #apiKeys = new Unchanged<ApiKeys | null>();
  readonly #exchanges = new Unchanged<Exchanges | null>();
  readonly #transforms = new Unchanged<Transforms | null>();
  readonly #limits = new Unchanged<CompiledLimits | null>();
  readonly #filters = new Unchanged<Filters | null>();
  readonly #caches = new Unchanged<Caches | null>();
  readonly #listeners: ((enforced: Enforced) => void)[] = [];

  /** Null before the first snapshot. */
  current(): Enforced | null {
    return this.#current;
  }

  /**
   * Compiles a snapshot and puts it in force, then tells the listeners in the order in which they
   * came. Throws, with nothing changed, when the snapshot cannot be compiled.
   */
  apply(snapshot: Snapshot, { regexes = noRegexes, tables = null }: Prepared = {}): void {
    const { mesh, workload, extensions, routes: groups = noGroups } = snapshot;
    const policies = this.#policies.of([mesh, workload, snapshot.policies], () =>
      compilePolicies({ mesh, workload, policies: snapshot.policies }),
    );
    const { trustDomains } = policies;
    const before = this.#current;
    const previous = before?.limits ?? null;
    const limits = this.#limits.of([extensions, trustDomains, tables], () =>
      compileLimits(extensions, { trustDomains, previous, tables }),
    );
    const enforced = Object.freeze({
      snapshot,
      policies,
      routes: this.#routes(snapshot),
      routing: this.#routing.of([groups], () => compileRouteIndex(groups, regexes)),
      limits,
      filters: this.#filters.of([extensions], () =>
        compileFilters(extensions, before?.filters ?? null),
      ),
      caches: this.#caches.of([extensions], () =>
        compileCaches(extensions, before?.caches ?? null),
      ),
      transforms: this.#transforms.of([extensions, regexes], () =>
        compileTransforms(extensions, regexes),
      ),
      apiKeys: this.#apiKeys.of([extensions], () => compileApiKeys(extensions)),
      exchanges: this.#exchanges.of([extensions], () => compileExchanges(extensions)),
    });
    this.#current = enforced;
    closeUnused(previous, limits);
    retireUnused(before?.filters ?? null, enforced.filters);
    for (const listener of this.#listeners) listener(enforced);
  }

  /** Calls `listener` with each new snapshot, before any request is judged by it. */
  onChange(listener: (enforced: Enforced) => void): void {
    this.#listeners.push(listener);
  }

  /** As `onChange`, but not where only endpoints come or go: nothing changes for those who call us. */
  onPolicyChange(listener: (enforced: Enforced) => void): void {
    let last = this.#current?.policies;
    this.onChange((enforced) => {
      if (enforced.policies === last) return;
      last = enforced.policies;
      listener(enforced);
    });
  }

  /** Nearly every change of a large mesh is one of endpoints, and nothing else is looked at then. */
  #routes(snapshot: Snapshot): RouteTable {
    const before = this.#current;
    if (before !== null && onlyServicesDiffer(before.snapshot, snapshot)) {
      const routes = before.routes.withServices(snapshot.services);
      if (routes !== null) return routes;
    }
    return compileRoutes(snapshot);
  }
}

/** These decide nothing of which names there are. */
const elsewhere = ['routes', 'destinations', 'extensions', 'scope', 'telemetry'] as const;

/** Policies say nothing of routes; all else may. */
function onlyServicesDiffer(before: Snapshot, after: Snapshot): boolean {
  const told = new Set([...Object.keys(before), ...Object.keys(after)] as (keyof Snapshot)[]);
  for (const part of ['version', 'policies', 'services', ...elsewhere] as const) told.delete(part);
  return [...told].every((part) => before[part] === after[part]);
}
