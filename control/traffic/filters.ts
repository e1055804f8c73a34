// Filters of HTTPRoute and GRPCRoute as parts of a route: edits, redirects, rewrites, mirrors, CORS.
import type { HeaderFilter } from '#api/kinds/gateway-route.ts';
import type { HttpRouteFilter, PathModifier } from '#api/kinds/http-route.ts';
import type {
  CorsPolicy,
  HeaderEdits,
  MessageEdits,
  PathRewrite,
  RedirectAction,
  RouteMirror,
  TextMatch,
} from '#api/traffic/route.ts';

import { headerEdits, wholeMillionths } from './parts.ts';
import type { Backend } from '#api/traffic/references.ts';
import { writtenPort } from './virtual-service-rule.ts';

export interface Filtered {
  readonly headers?: MessageEdits;
  readonly redirect?: RedirectAction;
  readonly rewrite?: { readonly path?: PathRewrite; readonly authority?: string };
  readonly mirrors?: readonly RouteMirror[];
  readonly cors?: CorsPolicy;
}

/** The types that no route of ours has. */
const unserved = new Set(['ExtensionRef', 'ExternalAuth']);

/** A filter that cannot be kept: requests must not go on as if it were not there. */
export function unservedFilter(filters: readonly { readonly type: string }[]): string | null {
  return filters.find(({ type }) => unserved.has(type))?.type ?? null;
}

/** @param backend where mirrors go */
export function filtersOf(
  filters: readonly HttpRouteFilter[],
  backend: (ref: NonNullable<HttpRouteFilter['requestMirror']>['backendRef']) => Backend,
): Filtered {
  const edits = editsOf(filters);
  const mirrors = filters.flatMap(({ requestMirror }) => {
    if (requestMirror === undefined) return [];
    const { destination, unresolved } = backend(requestMirror.backendRef);
    const { percent = 100, fraction } = requestMirror;
    const share =
      fraction === undefined ? percent : (100 * fraction.numerator) / fraction.denominator;
    const whole = wholeMillionths(share);
    return unresolved !== undefined || whole <= 0 ? [] : [{ destination, percent: whole }];
  });
  const redirect = filters.find((one) => one.requestRedirect !== undefined)?.requestRedirect;
  const rewrite = filters.find((one) => one.urlRewrite !== undefined)?.urlRewrite;
  const cors = filters.find((one) => one.cors !== undefined)?.cors;
  const rewritten = {
    ...(rewrite?.path !== undefined && { path: pathRewrite(rewrite.path) }),
    ...(rewrite?.hostname !== undefined && { authority: rewrite.hostname }),
  };
  return {
    ...(edits !== null && { headers: edits }),
    ...(redirect !== undefined && { redirect: redirectOf(redirect) }),
    ...(Object.keys(rewritten).length > 0 && { rewrite: rewritten }),
    ...(mirrors.length > 0 && { mirrors }),
    ...(cors !== undefined && { cors: corsOf(cors) }),
  };
}

/** Null: no header is changed. */
export function editsOf(
  filters: readonly Pick<HttpRouteFilter, 'requestHeaderModifier' | 'responseHeaderModifier'>[],
): MessageEdits | null {
  const request = headerFilter(
    filters.find((one) => one.requestHeaderModifier !== undefined)?.requestHeaderModifier,
  );
  const response = headerFilter(
    filters.find((one) => one.responseHeaderModifier !== undefined)?.responseHeaderModifier,
  );
  if (request === null && response === null) return null;
  return { ...(request !== null && { request }), ...(response !== null && { response }) };
}

function headerFilter(filter: HeaderFilter | undefined): HeaderEdits | null {
  if (filter === undefined) return null;
  const { set = [], add = [], remove } = filter;
  return headerEdits({ set: firstByName(set), add: firstByName(add), remove });
}

/** "Subsequent entries with an equivalent header name MUST be ignored." */
function firstByName(
  list: readonly { readonly name: string; readonly value: string }[],
): Record<string, string> {
  const named = list.map(({ name, value }) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(named.toReversed());
}

function redirectOf(redirect: NonNullable<HttpRouteFilter['requestRedirect']>): RedirectAction {
  const { scheme, hostname, path, port, statusCode } = redirect;
  const written = port === undefined ? undefined : writtenPort(port, scheme ?? '');
  // Without a port: that of the scheme where one is named, else the port that was called.
  const shown = written ?? (scheme === undefined ? undefined : 0);
  return {
    kind: 'redirect',
    status: statusCode,
    ...(scheme !== undefined && { scheme }),
    ...(hostname !== undefined && { authority: hostname }),
    ...(shown !== undefined && { port: shown }),
    ...(path !== undefined && { path: pathRewrite(path) }),
  };
}

function pathRewrite({ type, replaceFullPath, replacePrefixMatch }: PathModifier): PathRewrite {
  return type === 'ReplaceFullPath'
    ? { kind: 'full', value: replaceFullPath ?? '/' }
    : { kind: 'segments', value: replacePrefixMatch ?? '/' };
}

function corsOf(cors: NonNullable<HttpRouteFilter['cors']>): CorsPolicy {
  const { allowOrigins = [], allowMethods = [], allowHeaders = [], exposeHeaders = [] } = cors;
  return {
    allowOrigins: allowOrigins.map(originMatch),
    allowMethods,
    allowHeaders,
    exposeHeaders,
    maxAgeS: cors.maxAge,
    ...(cors.allowCredentials === true && { allowCredentials: true }),
    ignoreUnmatchedPreflights: true,
  };
}

/** `*` stands for any text inside an origin; alone, for every origin that is one. */
function originMatch(origin: string): TextMatch {
  if (!origin.includes('*')) return { kind: 'exact', value: origin };
  if (origin === '*') return { kind: 'regex', value: '[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+' };
  const escaped = origin.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return { kind: 'regex', value: escaped };
}
