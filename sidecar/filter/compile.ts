// Filters of a snapshot, compiled once; a thread outlives a snapshot that says the same of its filter.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { Filter } from '#api/kinds/filter.ts';

import { durationMs } from '../duration.ts';
import { compileRequestMatch, type RequestTest } from '#policy/request-match.ts';
import { FilterHost } from './host.ts';

export interface Filters {
  readonly filters: readonly CompiledFilter[];
  /** By what the resource says. */
  readonly hosts: ReadonlyMap<string, FilterHost>;
}

export interface CompiledFilter {
  /** Null: every request. */
  readonly matches: RequestTest | null;
  readonly host: FilterHost;
  readonly requestBody: boolean;
  readonly responses: boolean;
  readonly bodyBytesMax: number;
  readonly refuses: boolean;
}

/** Null: there are none. @param previous of the snapshot before */
export function compileFilters(
  extensions: readonly ExtensionResource[] | undefined,
  previous: Filters | null,
): Filters | null {
  const resources = (extensions ?? []).filter(isFilter);
  if (resources.length === 0) return null;
  const hosts = new Map<string, FilterHost>();
  const filters = resources.map(({ metadata, spec }) => {
    const key = JSON.stringify([metadata.namespace, metadata.name, spec]);
    const timeoutMs = durationMs(spec.timeout, 100);
    const { source = noSource, memoryMiB } = spec;
    const host = previous?.hosts.get(key) ?? new FilterHost({ source, timeoutMs, memoryMiB });
    hosts.set(key, host);
    return {
      matches: compileRequestMatch(spec.match),
      host,
      requestBody: spec.requestBody,
      responses: spec.responses,
      bodyBytesMax: spec.maxBodyBytes,
      refuses: spec.onFailure === 'refuse',
    };
  });
  return { filters, hosts };
}

/** Ends the threads that a new snapshot has no use for. */
export function retireUnused(previous: Filters | null, next: Filters | null): void {
  for (const [key, host] of previous?.hosts ?? []) {
    if (next?.hosts.get(key) !== host) host.retire();
  }
}

function isFilter(resource: ExtensionResource): resource is Filter {
  return resource.kind === 'Filter';
}

const noSource = "throw new Error('its file was not found: a cluster wants the text as source')";
