// Response caches of a snapshot, compiled once; what is kept outlives a snapshot that says the same of its cache.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { ResponseCache } from '#api/kinds/response-cache.ts';

import { durationMs } from '../duration.ts';
import { compileRequestMatch, type RequestTest } from '#policy/request-match.ts';
import { ResponseStore } from './store.ts';

export interface Caches {
  readonly rules: readonly CacheRule[];
  /** By what the resource says. */
  readonly stores: ReadonlyMap<string, ResponseStore>;
}

export interface CacheRule {
  /** Null: every request. */
  readonly matches: RequestTest | null;
  readonly identity: boolean;
  readonly defaultTtlMs: number;
  readonly bodyBytesMax: number;
  readonly store: ResponseStore;
}

/** Null: nothing is cached. @param previous of the snapshot before */
export function compileCaches(
  extensions: readonly ExtensionResource[] | undefined,
  previous: Caches | null,
): Caches | null {
  const resources = (extensions ?? []).filter(isResponseCache);
  if (resources.length === 0) return null;
  const stores = new Map<string, ResponseStore>();
  const rules = resources.flatMap(({ metadata, spec }) => {
    const key = JSON.stringify([metadata.namespace, metadata.name, spec]);
    const store = previous?.stores.get(key) ?? new ResponseStore(spec.maxBytes);
    stores.set(key, store);
    return spec.rules.map((rule) => ({
      matches: compileRequestMatch(rule.match),
      identity: rule.identity,
      defaultTtlMs: durationMs(rule.defaultTtl, 0),
      bodyBytesMax: spec.maxBodyBytes,
      store,
    }));
  });
  return { rules, stores };
}

function isResponseCache(resource: ExtensionResource): resource is ResponseCache {
  return resource.kind === 'ResponseCache';
}
