// Groups, routes and requests for the tests of routing, and a naive interpreter of the route model.
import type {
  HttpRoute,
  NamedMatch,
  RouteGroup,
  RouteMatch,
  SegmentsMatch,
  TextMatch,
} from '#api/traffic/route.ts';
import { prepareRegexes, type RegexFactory } from '#sidecar/routing/regex.ts';

import { FakeRequest } from '../telemetry/exchanges.ts';

export interface Asked {
  method?: string;
  path?: string;
  authority?: string;
  scheme?: string;
  headers?: [string, string][];
}

export function makeRequest(asked: Asked = {}): FakeRequest {
  const { method = 'GET', path = '/', authority = 'reviews.shop:9080', scheme = 'http' } = asked;
  const request = new FakeRequest(method, path, [...(asked.headers ?? [])]);
  request.authority = authority;
  request.scheme = scheme;
  return request;
}

export function makeRoute(changes: Partial<HttpRoute> = {}): HttpRoute {
  return {
    name: '',
    source: 'VirtualService shop/reviews',
    path: 'spec.http[0]',
    matches: [],
    action: { kind: 'respond', status: 200, body: '' },
    ...changes,
  };
}

export function makeGroup(
  http: readonly HttpRoute[],
  changes: Partial<RouteGroup> = {},
): RouteGroup {
  return {
    key: 'VirtualService/shop/reviews',
    hosts: ['reviews.shop.svc.cluster.local'],
    port: 0,
    http,
    tls: [],
    tcp: [],
    ...changes,
  };
}

/** The factory with its library loaded. */
export async function regexFactory(): Promise<RegexFactory> {
  const path = { kind: 'regex', value: 'x' } as const;
  return prepareRegexes({ routes: [makeGroup([makeRoute({ matches: [{ path }] })])] });
}

/** The first route that matches, by asking each. Its regular expressions are those that RegExp has too. */
export function naiveRoute(
  group: RouteGroup,
  request: FakeRequest,
): { route: HttpRoute; match: RouteMatch | null } | null {
  for (const route of group.http) {
    if (route.matches.length === 0) return { route, match: null };
    for (const match of route.matches) if (naiveMatch(match, request)) return { route, match };
  }
  return null;
}

function naiveMatch(match: RouteMatch, request: FakeRequest): boolean {
  const [path = ''] = request.path.split('?');
  const texts: [TextMatch | SegmentsMatch | undefined, string][] = [
    [match.path, path],
    [match.method, request.method],
    [match.scheme, request.scheme],
    [match.authority, request.authority],
  ];
  return (
    texts.every(([text, value]) => text === undefined || naiveText(text, value)) &&
    (match.headers ?? []).every((named) => naiveHeader(named, request)) &&
    (match.query ?? []).every((named) => naiveQuery(named, request.path))
  );
}

function naiveText(match: TextMatch | SegmentsMatch, text: string): boolean {
  if (match.kind === 'regex') return new RegExp(`^(?:${match.value})$`, 's').test(text);
  if (match.kind === 'segments') {
    const stem = match.value.replace(/\/$/, '');
    return text === stem || text.startsWith(`${stem}/`);
  }
  const fold = (value: string): string => (match.ignoreCase === true ? value.toLowerCase() : value);
  return match.kind === 'exact'
    ? fold(text) === fold(match.value)
    : fold(text).startsWith(fold(match.value));
}

function naiveHeader({ name, match, not = false }: NamedMatch, request: FakeRequest): boolean {
  const values = request.values(name);
  if (match === null) return values.length > 0 !== not;
  if (values.length === 0 && !not) return false;
  return naiveText(match, values.join(',')) !== not;
}

function naiveQuery({ name, match, not = false }: NamedMatch, path: string): boolean {
  const [, ...rest] = path.split('?');
  const pairs = rest
    .join('?')
    .split('&')
    .map((pair) => /^([^=]*)=?(.*)$/s.exec(pair));
  const found = rest.length === 0 ? undefined : pairs.find((pair) => pair?.[1] === name);
  if (found === undefined) return not;
  return (match === null || naiveText(match, found?.[2] ?? '')) !== not;
}
