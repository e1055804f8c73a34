// One http rule of a VirtualService, compiled; its matches are left to whoever knows the caller.
import type {
  CorsPolicySpec,
  DestinationSpec,
  FaultSpec,
  HttpRule,
  HttpRuleMatch,
  RedirectSpec,
  RetriesSpec,
} from '#api/kinds/virtual-service-http.ts';
import type {
  CorsPolicy,
  Destination,
  HttpRoute,
  MessageEdits,
  PathRewrite,
  RedirectAction,
  RouteFault,
  RouteMatch,
  RouteMirror,
  RouteRetry,
  StickyKey,
  WeightedDestination,
} from '#api/traffic/route.ts';
import { grpcStatusOf } from '#api/validate/route-values.ts';

import {
  authorityOf,
  durationMs,
  messageEdits,
  namedMatches,
  textMatch,
  wholeMillionths,
} from './parts.ts';

/** Of retries that do not say on what, as in Istio. */
const defaultRetryOn = [
  'connect-failure',
  'refused-stream',
  'unavailable',
  'cancelled',
  'retriable-status-codes',
];
/** Envoy's base interval. */
export const defaultBackoffMs = 25;

/** All of a route but where it was written and what it matches. Hosts are full names already. */
export type CompiledRule = Omit<HttpRoute, 'source' | 'path' | 'matches' | 'origin'>;

export function compileRule(rule: HttpRule, sticky: StickyKey | undefined): CompiledRule {
  const headers = messageEdits(rule.headers);
  const rewrite = rewriteOf(rule);
  const timeoutMs = durationMs(rule.timeout);
  const retry = retryOf(rule.retries);
  const fault = faultOf(rule.fault);
  const mirrors = mirrorsOf(rule);
  const cors = corsOf(rule.corsPolicy);
  return {
    name: rule.name ?? '',
    action: actionOf(rule, sticky),
    ...(rewrite !== null && { rewrite }),
    ...(headers !== null && { headers }),
    ...(timeoutMs > 0 && { timeoutMs }),
    ...(retry !== null && { retry }),
    ...(fault !== null && { fault }),
    ...(mirrors.length > 0 && { mirrors }),
    ...(cors !== null && { cors }),
  };
}

/** What a match asks of the request; what it asks of the caller and of the port is left out. */
export function compileMatch(match: HttpRuleMatch): RouteMatch {
  const { name, uri, ignoreUriCase = false } = match;
  const path = uri === undefined ? null : textMatch(uri, ignoreUriCase);
  const headers = [...namedMatches(match.headers), ...namedMatches(match.withoutHeaders, true)].map(
    (one) => ({ ...one, name: one.name.toLowerCase() }),
  );
  const query = namedMatches(match.queryParams);
  const texts = (['scheme', 'method', 'authority'] as const).flatMap((field) => {
    const value = match[field];
    const text = value === undefined ? null : textMatch(value);
    return text === null ? [] : [[field, text] as const];
  });
  return {
    ...(name !== undefined && name !== '' && { name }),
    ...(path !== null && { path }),
    ...Object.fromEntries(texts),
    ...(headers.length > 0 && { headers }),
    ...(query.length > 0 && { query }),
  };
}

/** Whether every request has it. */
export function matchesAll(match: RouteMatch): boolean {
  const { name: _, path, ...rest } = match;
  const anyPath =
    path === undefined || (path.kind === 'prefix' && (path.value === '/' || path.value === ''));
  return anyPath && Object.keys(rest).length === 0;
}

export function destinationOf({ host, port, subset = '' }: DestinationSpec): Destination {
  return { host, port: port?.number ?? 0, subset };
}

/** As in Istio: a redirect before an answer, an answer before a route. */
function actionOf(rule: HttpRule, sticky: StickyKey | undefined): HttpRoute['action'] {
  const { redirect, directResponse, route = [] } = rule;
  if (redirect !== undefined) return redirectOf(redirect);
  if (directResponse !== undefined) {
    const { string, bytes = '' } = directResponse.body ?? {};
    const body = string ?? Buffer.from(bytes, 'base64').toString();
    return { kind: 'respond', status: directResponse.status, body };
  }
  const destinations = route.flatMap(({ destination, weight = 0, headers }) => {
    if (destination === undefined) return [];
    const authority = route.length === 1 ? '' : authorityOf(headers);
    return weighted(destinationOf(destination), {
      // Of a single one no share is asked.
      weight: route.length === 1 ? 1 : weight,
      edits: messageEdits(headers),
      authority,
    });
  });
  return {
    kind: 'forward',
    destinations,
    ...(sticky !== undefined && destinations.length > 1 && { sticky }),
  };
}

function weighted(
  destination: Destination,
  of: { weight: number; edits: MessageEdits | null; authority: string },
): WeightedDestination {
  const { weight, edits, authority } = of;
  if (authority === '') return { destination, weight, ...(edits !== null && { headers: edits }) };
  const request = { ...edits?.request, set: { ...edits?.request?.set, ':authority': authority } };
  return { destination, weight, headers: { ...edits, request } };
}

function redirectOf(redirect: RedirectSpec): RedirectAction {
  const { uri = '', prefixRewrite = '', authority = '', scheme = '', redirectCode = 0 } = redirect;
  const path: PathRewrite | null =
    prefixRewrite !== ''
      ? { kind: 'prefix', value: prefixRewrite }
      : uri === ''
        ? null
        : { kind: 'full', value: uri };
  const port = portOf(redirect);
  return {
    kind: 'redirect',
    status: redirectCode === 0 ? 301 : redirectCode,
    ...(scheme !== '' && { scheme }),
    ...(authority !== '' && { authority }),
    ...(port !== null && { port }),
    ...(path !== null && { path }),
  };
}

/** Null: as called. As in Envoy another host comes without the port that was called. */
function portOf({ port, derivePort, authority = '', scheme = '' }: RedirectSpec): number | null {
  if (port !== undefined && port > 0) return writtenPort(port, scheme);
  return authority === '' || derivePort === 'FROM_REQUEST_PORT' ? null : 0;
}

/** 0: it is the scheme's own and is not written. @param scheme '' where it stays: http, between sidecars */
export function writtenPort(port: number, scheme: string): number {
  return port === (scheme === 'https' ? 443 : 80) ? 0 : port;
}

function rewriteOf(rule: HttpRule): HttpRoute['rewrite'] | null {
  const { uri = '', authority = '', uriRegexRewrite } = rule.rewrite ?? {};
  const { match = '', rewrite = '' } = uriRegexRewrite ?? {};
  const path: PathRewrite | null =
    uriRegexRewrite !== undefined
      ? { kind: 'regex', match, value: rewrite }
      : uri === ''
        ? null
        : { kind: 'prefix', value: uri };
  const [only, ...others] = rule.route ?? [];
  const host =
    authority ||
    authorityOf(rule.headers) ||
    (others.length === 0 ? authorityOf(only?.headers) : '');
  if (path === null && host === '') return null;
  return { ...(path !== null && { path }), ...(host !== '' && { authority: host }) };
}

function retryOf(retries: RetriesSpec | undefined): RouteRetry | null {
  if (retries === undefined) return null;
  const { attempts = 0, retryOn = '', perTryTimeout, backoff } = retries;
  const { retryIgnorePreviousHosts = true, retryRemoteLocalities = false } = retries;
  const words = retryOn.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
  const statuses = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const on = words.filter((word) => !/^\d+$/.test(word));
  if (statuses.length > 0 && !on.includes('retriable-status-codes')) {
    on.push('retriable-status-codes');
  }
  return {
    attempts: Math.max(attempts, 0),
    perTryTimeoutMs: durationMs(perTryTimeout),
    on: words.length === 0 ? defaultRetryOn : on,
    statuses,
    backoffMs: durationMs(backoff) || defaultBackoffMs,
    previousHosts: retryIgnorePreviousHosts ? 'avoid' : 'allow',
    ...(retryRemoteLocalities && { remoteLocalities: true }),
  };
}

/** Null: none that ever happens; a percentage that is not written is 0, as in Istio. */
function faultOf(fault: FaultSpec | undefined): RouteFault | null {
  const { delay: slow, abort: cut } = fault ?? {};
  const delayMs = durationMs(slow?.fixedDelay);
  const slowPercent = wholeMillionths(slow?.percentage?.value ?? slow?.percent ?? 0);
  const cutPercent = wholeMillionths(cut?.percentage?.value ?? 0);
  const grpcStatus = cut?.grpcStatus === undefined ? undefined : grpcStatusOf(cut.grpcStatus);
  const status = grpcStatus === undefined ? cut?.httpStatus : 200;
  const delay = delayMs > 0 && slowPercent > 0 ? { percent: slowPercent, delayMs } : null;
  const abort =
    status !== undefined && cutPercent > 0
      ? { percent: cutPercent, status, ...(grpcStatus !== undefined && { grpcStatus }) }
      : null;
  if (delay === null && abort === null) return null;
  return { ...(delay !== null && { delay }), ...(abort !== null && { abort }) };
}

function mirrorsOf(rule: HttpRule): RouteMirror[] {
  const { mirror, mirrors = [], mirrorPercentage, mirrorPercent } = rule;
  const all =
    mirror === undefined
      ? []
      : [{ destination: mirror, share: mirrorPercentage?.value ?? mirrorPercent }];
  const several = mirrors.map(({ destination, percentage }) => ({
    destination,
    share: percentage?.value,
  }));
  return [...all, ...several].flatMap(({ destination, share = 100 }) =>
    destination === undefined || wholeMillionths(share) <= 0
      ? []
      : [{ destination: destinationOf(destination), percent: wholeMillionths(share) }],
  );
}

function corsOf(policy: CorsPolicySpec | undefined): CorsPolicy | null {
  if (policy === undefined) return null;
  const { allowOrigins, allowOrigin = [], maxAge, allowCredentials, unmatchedPreflights } = policy;
  const origins = allowOrigins ?? allowOrigin.map((exact) => ({ exact }));
  return {
    allowOrigins: origins.flatMap((origin) => textMatch(origin) ?? []),
    allowMethods: policy.allowMethods ?? [],
    allowHeaders: policy.allowHeaders ?? [],
    exposeHeaders: policy.exposeHeaders ?? [],
    ...(maxAge !== undefined && { maxAgeS: Math.trunc(durationMs(maxAge) / 1000) }),
    ...(allowCredentials === true && { allowCredentials }),
    ...(unmatchedPreflights === 'IGNORE' && { ignoreUnmatchedPreflights: true }),
  };
}
