// The RateLimits of a snapshot as what each request meets. What did not change keeps its counts.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { RateLimit, RateLimitSpec } from '#api/kinds/rate-limit.ts';

import type { Exchange } from '../exchange.ts';
import type { Algorithm } from './algorithm.ts';
import { CompiledLimit, isConcurrency, type LimitState } from './compiled-limit.ts';
import type { Lease } from './leases.ts';
import { SharedStore } from './shared-store.ts';
import { KeyTable } from './table.ts';

/** Memory of the tables of the process by name and signature, for its worker threads. */
export type LimitTables = ReadonlyMap<string, SharedArrayBuffer>;

export interface SharedGroup {
  readonly store: SharedStore;
  readonly limits: readonly CompiledLimit[];
  readonly failOpen: boolean;
}

export interface CompiledLimits {
  readonly local: readonly CompiledLimit[];
  readonly shared: readonly SharedGroup[];
  /** Those under way that count as such; null when no limit is on concurrency. */
  readonly underWay: Map<Exchange, UnderWay[]> | null;
  readonly tables: LimitTables;
}

export interface UnderWay {
  readonly limit: CompiledLimit;
  readonly word0: number;
  readonly word1: number;
  /** Null: it is counted in this process. */
  readonly lease: SharedLease | null;
}

export interface SharedLease extends Lease {
  readonly store: SharedStore;
}

export interface LimitOptions {
  /** The trust domain, then its aliases. */
  readonly trustDomains: readonly string[];
  readonly previous: CompiledLimits | null;
  /** What another thread of the process has made already. */
  readonly tables: LimitTables | null;
}

/** Null when there is nothing to limit. Throws for what validation lets nobody write. */
export function compileLimits(
  extensions: readonly ExtensionResource[] | undefined,
  options: LimitOptions,
): CompiledLimits | null {
  const resources = (extensions ?? []).filter(isRateLimit);
  if (resources.length === 0) return null;
  const { trustDomains, previous } = options;
  const known = new Map(all(previous).map((limit) => [keyOf(limit), limit.state]));
  const tables = new Map<string, SharedArrayBuffer>();
  const stateOf = (limit: CompiledLimit, algorithm: Algorithm, keys: number): LimitState => {
    const key = keyOf(limit);
    const state =
      known.get(key) ?? newState(limit, algorithm, keys, options.tables?.get(key) ?? undefined);
    if (state.table !== null) tables.set(key, state.table.buffer);
    return state;
  };
  const limits = resources.map((resource) => ({
    spec: resource.spec,
    compiled: resource.spec.limits.map(
      (_, i) => new CompiledLimit(resource, i, trustDomains, stateOf),
    ),
  }));
  const local = limits.flatMap(({ compiled }) => compiled.filter((one) => !isShared(one)));
  const counted = limits.some(({ compiled }) => compiled.some(isConcurrency));
  return {
    local,
    shared: groupsOf(limits, previous),
    underWay: counted ? (previous?.underWay ?? new Map()) : null,
    tables,
  };
}

/** Of the process before `current`: connections that nothing uses any more. */
export function closeUnused(previous: CompiledLimits | null, current: CompiledLimits | null): void {
  const kept = new Set(current?.shared.map(({ store }) => store));
  for (const { store } of previous?.shared ?? []) if (!kept.has(store)) store.close();
}

export function all(limits: CompiledLimits | null): CompiledLimit[] {
  if (limits === null) return [];
  return [...limits.local, ...limits.shared.flatMap((group) => group.limits)];
}

function groupsOf(
  limits: readonly { readonly spec: RateLimitSpec; readonly compiled: readonly CompiledLimit[] }[],
  previous: CompiledLimits | null,
): SharedGroup[] {
  const stores = new Map(previous?.shared.map(({ store }) => [store.signature, store]));
  const groups = new Map<string, { store: SharedStore; limits: CompiledLimit[]; open: boolean }>();
  for (const { spec, compiled } of limits) {
    const shared = compiled.filter(isShared);
    const { redis } = spec;
    if (shared.length === 0 || redis === undefined) continue;
    const { onFailure, ...where } = redis;
    const signature = JSON.stringify(where);
    const key = `${signature} ${onFailure}`;
    const store = stores.get(signature) ?? new SharedStore(where, signature);
    stores.set(signature, store);
    const group = groups.get(key) ?? { store, limits: [], open: onFailure === 'allow' };
    group.limits.push(...shared);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ store, limits: list, open }) => ({
    store,
    limits: list,
    failOpen: open,
  }));
}

function newState(
  limit: CompiledLimit,
  algorithm: Algorithm,
  keys: number,
  buffer: SharedArrayBuffer | undefined,
): LimitState {
  return {
    table: isShared(limit) ? null : new KeyTable(keys, algorithm, buffer),
    counts: { allowed: 0, limited: 0, wouldLimit: 0, failedOpen: 0, failedClosed: 0 },
  };
}

function isShared(limit: CompiledLimit): boolean {
  return limit.scriptArguments !== null;
}

function keyOf({ name, signature }: CompiledLimit): string {
  return `${name} ${signature}`;
}

function isRateLimit(resource: ExtensionResource): resource is ExtensionResource & RateLimit {
  return resource.kind === 'RateLimit';
}
