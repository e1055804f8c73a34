// Which limits of the callee's sidecar a call meets, as its RateLimits say.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { Limit, LimitKey, RateLimit } from '#api/kinds/rate-limit.ts';
import type { Outcome } from '#policy/judge.ts';
import { compileRequestMatch } from '#policy/request-match.ts';

import { ofKind } from './met-extensions.ts';
import { sourceAt } from './source.ts';

export interface MetLimit {
  /** `namespace/name`. */
  readonly rateLimit: string;
  readonly limit: string;
  readonly at: string | null;
  readonly enforced: boolean;
  /** `100 in each 1m, for each header x-api-key, counted in Redis`. */
  readonly allows: string;
}

/** Empty for what does not come to the limits: no HTTP, or refused before. */
export function limitsOf(
  extensions: readonly ExtensionResource[],
  { decision, facts }: Outcome,
  trustDomains: readonly string[],
): MetLimit[] {
  const request = facts?.request ?? null;
  if (decision !== 'allow' || facts === null || request === null) return [];
  return ofKind<RateLimit>(extensions, 'RateLimit').flatMap((resource) =>
    resource.spec.limits.flatMap((limit, i): MetLimit[] => {
      const matches = compileRequestMatch(limit.match, { trustDomains });
      if (matches !== null && !matches(facts.connection, request)) return [];
      const { metadata } = resource;
      return [
        {
          rateLimit: `${metadata.namespace}/${metadata.name}`,
          limit: limit.name,
          at: sourceAt(resource, `spec.limits[${i}]`).at,
          enforced: limit.enforce,
          allows: allowsOf(limit),
        },
      ];
    }),
  );
}

/** `limit "minute" of limits/kong (kong.yaml:18): …`. */
export function renderLimit({ rateLimit, limit, at, enforced, allows }: MetLimit): string {
  const place = at === null ? '' : ` (${at})`;
  const dry = enforced ? '' : ' (not enforced)';
  return `limit "${limit}" of ${rateLimit}${place}${dry}: ${allows}`;
}

function allowsOf(limit: Limit): string {
  const key = (limit.key ?? []).map(describeKey).join(' and ');
  const apart = key === '' ? ', for all calls together' : `, for each ${key}`;
  const where = limit.scope === 'shared' ? 'in Redis, by all pods' : 'by each pod';
  return `${describeAlgorithm(limit)}${apart}, counted ${where}`;
}

function describeAlgorithm(limit: Limit): string {
  const { tokenBucket, leakyBucket, fixedWindow, slidingWindow, concurrency, quota } = limit;
  if (tokenBucket !== undefined) {
    const { rate, per, burst = rate } = tokenBucket;
    return `${rate} in each ${per}, at most ${burst} at once`;
  }
  if (leakyBucket !== undefined) {
    const { rate, per, burst, delay } = leakyBucket;
    return `an even ${rate} in each ${per}, ${burst} of them ahead${delay ? ' and waiting' : ''}`;
  }
  if (fixedWindow !== undefined) return `${fixedWindow.limit} in each ${fixedWindow.window}`;
  if (slidingWindow !== undefined) {
    return `${slidingWindow.limit} in any ${slidingWindow.window} (${slidingWindow.precision})`;
  }
  if (quota !== undefined) return `${quota.limit} a ${quota.per}`;
  return `${concurrency?.limit ?? 0} under way`;
}

function describeKey({ from, name, query, depth = 0 }: LimitKey): string {
  if (from === 'apiKey') return `API key of ${query ?? name ?? 'x-api-key'}`;
  if (from === 'remoteAddress') return depth === 0 ? 'peer address' : `client address (${depth})`;
  return name === undefined ? from : `${from} ${name}`;
}
