// HTTPRoute and GRPCRoute as routes, one for each match, each with its rank among all of its Service.
import type { GRPCRoute, GrpcRouteMatch } from '#api/kinds/grpc-route.ts';
import type { HTTPRoute, HttpRouteFilter, HttpRouteMatch } from '#api/kinds/http-route.ts';
import type {
  BackendObjectRef,
  SessionPersistence as SessionSpec,
  ValueMatch,
} from '#api/kinds/gateway-route.ts';
import { nameOf } from '#api/origin.ts';
import type {
  HttpRoute,
  NamedMatch,
  RouteMatch,
  RouteRetry,
  SessionPersistence,
  WeightedDestination,
} from '#api/traffic/route.ts';
import { stickyOf } from '#api/validate/sticky.ts';

import { editsOf, type Filtered, filtersOf, unservedFilter } from './filters.ts';
import { durationMs, originWithin } from './parts.ts';
import type { Backend, Referrer } from '#api/traffic/references.ts';
import { defaultBackoffMs } from './virtual-service-rule.ts';

export type GatewayRoute = HTTPRoute | GRPCRoute;

/** One match of one rule. */
export interface RankedRoute {
  readonly route: HttpRoute;
  /** The greater one comes first; the first numbers count most. */
  readonly rank: readonly number[];
}

export type ResolveBackend = (ref: BackendObjectRef, from: Referrer) => Backend;

type Rule = HTTPRoute['spec']['rules'][number] | GRPCRoute['spec']['rules'][number];
interface RankedMatch {
  readonly match: RouteMatch | null;
  readonly rank: readonly number[];
}

/** In the order of rules and matches. */
export function compileGatewayRoute(
  resource: GatewayRoute,
  resolve: ResolveBackend,
): RankedRoute[] {
  const { metadata, origin } = resource;
  const source = nameOf(resource);
  const rules: readonly Rule[] = resource.spec.rules;
  return rules.flatMap((rule, i) => {
    const path = `spec.rules[${i}]`;
    const body = {
      name: rule.name ?? `${metadata.namespace}.${metadata.name}.${i}`,
      source,
      path,
      ...(origin !== undefined && { origin: originWithin(origin, path) }),
      ...compileRule(resource, rule, i, resolve),
    };
    const matches = rankedMatches(resource, i);
    const all = matches.length === 0 ? [{ match: null, rank: [] }] : matches;
    const prefixed = usesPrefix(body);
    return all.map(({ match, rank }) => ({
      route: { ...body, matches: match === null ? [] : trimmed(match, prefixed) },
      rank,
    }));
  });
}

/** A match of `/` alone is none, unless a rewrite takes it away. */
function trimmed(match: RouteMatch, prefixed: boolean): RouteMatch[] {
  const { path, ...rest } = match;
  const any = path?.kind === 'segments' && path.value === '/' && !prefixed;
  if (!any) return [match];
  return Object.keys(rest).length === 0 ? [] : [rest];
}

function usesPrefix({ action, rewrite }: Pick<HttpRoute, 'action' | 'rewrite'>): boolean {
  return (
    rewrite?.path?.kind === 'segments' ||
    (action.kind === 'redirect' && action.path?.kind === 'segments')
  );
}

function compileRule(
  resource: GatewayRoute,
  rule: Rule,
  index: number,
  resolve: ResolveBackend,
): Omit<HttpRoute, 'name' | 'source' | 'path' | 'matches'> {
  const { namespace, name } = resource.metadata;
  const from = { kind: resource.kind, namespace };
  const filters: readonly HttpRouteFilter[] = rule.filters ?? [];
  const missing = unservedFilter(filters);
  if (missing !== null) return refused(`the filter ${missing} is not served`);
  const { redirect, ...filtered }: Filtered = filtersOf(filters, (ref) => resolve(ref, from));
  if (redirect !== undefined) return { action: redirect, ...filtered };
  const sticky = stickyOf(resource.metadata.annotations);
  const session = rule.sessionPersistence;
  const destinations = destinationsOf(rule, (ref) => resolve(ref, from));
  return {
    action: {
      kind: 'forward',
      destinations,
      ...(sticky !== undefined && destinations.length > 1 && { sticky }),
      ...(session !== undefined && {
        session: sessionOf(session, `selvage-${namespace}-${name}-${index}`),
      }),
    },
    ...filtered,
    ...('timeouts' in rule || 'retry' in rule ? timing(rule) : {}),
  };
}

function sessionOf(said: SessionSpec, made: string): SessionPersistence {
  const { sessionName = made, type, idleTimeout, absoluteTimeout, cookieConfig } = said;
  const [idleS, absoluteS] = [idleTimeout, absoluteTimeout].map((text) =>
    Math.ceil(durationMs(text) / 1000),
  );
  return {
    kind: type === 'Cookie' ? 'cookie' : 'header',
    name: type === 'Cookie' ? sessionName : sessionName.toLowerCase(),
    ...(idleS && { idleS }),
    ...(absoluteS && { absoluteS }),
    ...(cookieConfig?.lifetimeType === 'Permanent' && { permanent: true }),
  };
}

/** What a request gets that cannot be handled as its rule says: 500, with the reason in logs and `explain`. */
function refused(invalid: string): { action: HttpRoute['action'] } {
  const destination = { host: '', port: 0, subset: '' };
  return { action: { kind: 'forward', destinations: [{ destination, weight: 1, invalid }] } };
}

function destinationsOf(
  rule: Rule,
  resolve: (ref: BackendObjectRef) => Backend,
): WeightedDestination[] {
  const refs = rule.backendRefs ?? [];
  if (refs.every(({ weight }) => weight === 0)) return [];
  return refs.map((ref) => {
    const { destination, unresolved } = resolve(ref);
    const filters: readonly HttpRouteFilter[] = ref.filters ?? [];
    const headers = editsOf(filters);
    const odd = filters.find(({ type }) => !type.endsWith('HeaderModifier'))?.type;
    const invalid =
      unresolved?.message ??
      (odd === undefined ? undefined : `the filter ${odd} of a backend is not served`);
    return {
      destination,
      weight: ref.weight,
      ...(headers !== null && { headers }),
      ...(invalid !== undefined && { invalid }),
    };
  });
}

/** As in Istio: the time for one try is that for all where nothing says that there are more. */
function timing({
  timeouts,
  retry: written,
}: Pick<HTTPRoute['spec']['rules'][number], 'timeouts' | 'retry'>): {
  timeoutMs?: number;
  retry?: RouteRetry;
} {
  const requestMs = durationMs(timeouts?.request);
  const tryMs = durationMs(timeouts?.backendRequest);
  const timeoutMs = written === undefined && tryMs > 0 ? tryMs : requestMs;
  const { codes = [], attempts = 2, backoff } = written ?? {};
  const retry: RouteRetry = {
    attempts,
    perTryTimeoutMs: tryMs,
    on: [
      'connect-failure',
      'refused-stream',
      'unavailable',
      'cancelled',
      ...(codes.length > 0 ? ['retriable-status-codes'] : []),
    ],
    statuses: codes,
    backoffMs: durationMs(backoff) || defaultBackoffMs,
    previousHosts: 'avoid',
  };
  return { ...(timeoutMs > 0 && { timeoutMs }), ...(written !== undefined && { retry }) };
}

function rankedMatches(resource: GatewayRoute, rule: number): RankedMatch[] {
  return resource.kind === 'HTTPRoute'
    ? (resource.spec.rules[rule]?.matches ?? []).map(httpMatch)
    : (resource.spec.rules[rule]?.matches ?? []).map(grpcMatch);
}

/**
 * Exact paths, then the longest prefix, then expressions, as in Istio; but a prefix of `/` comes after them, where Istio
 * puts it before, so that no request reaches them.
 */
function httpMatch({ path, headers = [], queryParams = [], method }: HttpRouteMatch): RankedMatch {
  const { type, value } = path;
  const prefix = value === '/' ? '/' : value.replace(/\/$/, '');
  const kind = type === 'Exact' ? 3 : type === 'RegularExpression' ? 1 : prefix === '/' ? 0 : 2;
  return {
    match: {
      path:
        type === 'Exact'
          ? { kind: 'exact', value }
          : type === 'PathPrefix'
            ? { kind: 'segments', value: prefix }
            : { kind: 'regex', value },
      ...(method !== undefined && { method: { kind: 'exact', value: method } }),
      ...(headers.length > 0 && { headers: named(headers, true) }),
      ...(queryParams.length > 0 && { query: named(queryParams, false) }),
    },
    rank: [
      kind,
      kind === 2 ? prefix.length : value.length,
      method === undefined ? 0 : 1,
      headers.length,
      queryParams.length,
    ],
  };
}

function grpcMatch({ method: called, headers = [] }: GrpcRouteMatch): RankedMatch {
  const { type = 'Exact', service = '', method = '' } = called ?? {};
  const path = called === undefined ? undefined : grpcPath(type, service, method);
  return {
    match: {
      ...(path !== undefined && { path }),
      ...(headers.length > 0 && { headers: named(headers, true) }),
    },
    rank: [service.length, method.length, type === 'Exact' ? 1 : 0, headers.length],
  };
}

/** gRPC calls `/service/method`. */
function grpcPath(type: string, service: string, method: string): RouteMatch['path'] {
  if (type === 'Exact' && service !== '') {
    return method === ''
      ? { kind: 'prefix', value: `/${service}/` }
      : { kind: 'exact', value: `/${service}/${method}` };
  }
  return { kind: 'regex', value: `/${service || '[^/]+'}/${method || '.+'}` };
}

function named(matches: readonly ValueMatch[], ofHeaders: boolean): NamedMatch[] {
  return matches.map(({ type, name, value }) => ({
    name: ofHeaders ? name.toLowerCase() : name,
    match: { kind: type === 'Exact' ? 'exact' : 'regex', value },
  }));
}
