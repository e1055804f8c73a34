// TokenExchanges of a snapshot, compiled: which host's calls get which token.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { TokenExchange, TokenExchangeSpec } from '#api/kinds/token-exchange.ts';

import { durationMs } from '../duration.ts';

export interface CompiledExchange {
  /** `namespace/name`, for logs. */
  readonly name: string;
  readonly spec: TokenExchangeSpec;
  readonly timeoutMs: number;
  readonly skewMs: number;
  /** @param host lower-case */
  covers(host: string): boolean;
}

export interface Exchanges {
  /** The first that covers one of these hosts; null: none does. */
  find(hosts: readonly string[]): CompiledExchange | null;
}

const timeoutDefaultMs = 5000;
const skewDefaultMs = 30_000;
/** What did not change keeps its tokens when a new snapshot comes. */
const compiled = new WeakMap<ExtensionResource, CompiledExchange>();

/** Null: no call gets another token. */
export function compileExchanges(extensions: readonly ExtensionResource[] = []): Exchanges | null {
  const all = extensions.filter(isExchange).map(compiledOf);
  if (all.length === 0) return null;
  return {
    find: (hosts) => all.find((one) => hosts.some((host) => one.covers(host))) ?? null,
  };
}

function isExchange(resource: ExtensionResource): resource is ExtensionResource & TokenExchange {
  return resource.kind === 'TokenExchange';
}

function compiledOf(resource: ExtensionResource & TokenExchange): CompiledExchange {
  const known = compiled.get(resource);
  if (known !== undefined) return known;
  const { metadata, spec } = resource;
  const hosts = spec.hosts.map((host) => host.toLowerCase());
  const exact = new Set(hosts.filter((host) => !host.startsWith('*.')));
  const suffixes = hosts.filter((host) => host.startsWith('*.')).map((host) => host.slice(1));
  const made: CompiledExchange = {
    name: `${metadata.namespace}/${metadata.name}`,
    spec,
    timeoutMs: durationMs(spec.timeout, timeoutDefaultMs),
    skewMs: durationMs(spec.cache.skew, skewDefaultMs),
    covers: (host) =>
      exact.has(host) ||
      suffixes.some((suffix) => host.length > suffix.length && host.endsWith(suffix)),
  };
  compiled.set(resource, made);
  return made;
}
