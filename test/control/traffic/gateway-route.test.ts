import { expect, test } from 'vitest';

import type { HttpRoute } from '#api/traffic/route.ts';

import { groupsOf, httpOf, httpRoute, meshOf, payments, virtualService } from './mesh.ts';

const parents = 'parentRefs: [{group: "", kind: Service, name: payments}]';
const toWeb = 'backendRefs: [{name: web, port: 80}]';
const web = { host: 'web.shop.svc.cluster.local', port: 80, subset: '' };

function routesOf(rules: string, ...more: string[]): readonly HttpRoute[] {
  const text = httpRoute('r', `${parents}\nrules:\n${rules}`);
  return httpOf(groupsOf(meshOf(text, ...more)), payments);
}

test('a route of a Service is a group of its host', () => {
  const text = httpRoute('r', `${parents}\nrules: [{${toWeb}}]`);
  expect(groupsOf(meshOf(text), 'bank')).toMatchObject([
    {
      key: `HTTPRoute/shop/${payments}`,
      hosts: [payments],
      port: 0,
      http: [
        {
          name: 'shop.r.0',
          source: 'HTTPRoute shop/r',
          path: 'spec.rules[0]',
          matches: [],
          action: { kind: 'forward', destinations: [{ destination: web, weight: 1 }] },
        },
      ],
    },
  ]);
});

const since = (created: string): string => `namespace: shop, creationTimestamp: "${created}"`;

const ruleOf = (name: string, match: string): string =>
  `- {name: ${name}, matches: [{${match}}], ${toWeb}}`;

test('the most specific match comes first, whatever route and rule it is in', () => {
  const old = [
    ruleOf('root', 'path: {value: /}'),
    ruleOf('expression', 'path: {type: RegularExpression, value: "/a/.*"}'),
    ruleOf('short', 'path: {value: /a/}'),
    ruleOf('tie', 'path: {value: /tie}'),
    ruleOf('params', 'path: {value: /q}, queryParams: [{name: a, value: b}]'),
  ].join('\n');
  const young = [
    ruleOf('tie-young', 'path: {value: /tie}'),
    ruleOf('exact', 'path: {type: Exact, value: /a}'),
    ruleOf('long', 'path: {value: /a/bc}'),
    ruleOf('method', 'path: {value: /a}, method: GET'),
    ruleOf('header', 'path: {value: /q}, headers: [{name: a, value: b}]'),
    ruleOf('tie-last', 'path: {value: /tie}'),
  ].join('\n');
  const texts = [
    httpRoute('young', `${parents}\nrules:\n${young}`, since('2021-01-01T00:00:00Z')),
    httpRoute('old', `${parents}\nrules:\n${old}`, since('2020-01-01T00:00:00Z')),
  ];
  const names = httpOf(groupsOf(meshOf(...texts)), payments).map(({ name }) => name);
  expect(names).toEqual([
    'exact',
    'long',
    'tie',
    'tie-young',
    'tie-last',
    'method',
    'header',
    'params',
    'short',
    'expression',
    'root',
  ]);
});

test('each match is a route of its own', () => {
  const [first, second] = routesOf(`- matches:
  - path: {value: /a}
    method: GET
    headers: [{name: X-A, value: "1"}, {name: x-b, type: RegularExpression, value: "b+"}]
    queryParams: [{name: Q, value: "2"}]
  - {}
  ${toWeb}`);
  expect(first?.matches).toEqual([
    {
      path: { kind: 'segments', value: '/a' },
      method: { kind: 'exact', value: 'GET' },
      headers: [
        { name: 'x-a', match: { kind: 'exact', value: '1' } },
        { name: 'x-b', match: { kind: 'regex', value: 'b+' } },
      ],
      query: [{ name: 'Q', match: { kind: 'exact', value: '2' } }],
    },
  ]);
  expect(second?.matches).toEqual([]);
});

test.each([
  [
    'a redirect of the prefix',
    '{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.b, path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}',
    {
      action: {
        kind: 'redirect',
        status: 302,
        scheme: 'https',
        authority: 'a.b',
        port: 0,
        path: { kind: 'segments', value: '/x' },
      },
    },
  ],
  [
    'a redirect to another port',
    '{type: RequestRedirect, requestRedirect: {port: 8083, statusCode: 301}}',
    { action: { kind: 'redirect', status: 301, port: 8083 } },
  ],
  [
    'a redirect with the port that was called',
    '{type: RequestRedirect, requestRedirect: {hostname: a.b}}',
    { action: { kind: 'redirect', status: 302, authority: 'a.b' } },
  ],
])('%s', (_, filter, compiled) => {
  const [route] = routesOf(`- filters: [${filter}]`);
  expect(route).toMatchObject(compiled);
  expect(Object.keys(route?.action ?? {})).toEqual(Object.keys(compiled.action));
});

test('filters become edits, rewrites, mirrors and CORS', () => {
  const [route] = routesOf(`- filters:
  - type: RequestHeaderModifier
    requestHeaderModifier: {set: [{name: X-A, value: "1"}], add: [{name: x-b, value: "2"}], remove: [X-C]}
  - type: ResponseHeaderModifier
    responseHeaderModifier: {set: [{name: x-d, value: "3"}]}
  - type: URLRewrite
    urlRewrite: {hostname: a.b, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}
  - type: RequestMirror
    requestMirror: {backendRef: {name: payments-v2, port: 80}, fraction: {numerator: 1, denominator: 8}}
  - type: RequestMirror
    requestMirror: {backendRef: {name: absent, port: 80}}
  - type: CORS
    cors: {allowOrigins: ["https://*.a.b", "https://c.d"], allowMethods: [GET]}
  timeouts: {request: 10s, backendRequest: 2s}
  retry: {codes: [503], attempts: 4, backoff: 50ms}
  ${toWeb}`);
  expect(route).toMatchObject({
    // The prefix stays in the match where a rewrite takes it away.
    matches: [{ path: { kind: 'segments', value: '/' } }],
    headers: {
      request: { set: { 'x-a': '1' }, add: { 'x-b': '2' }, remove: ['x-c'] },
      response: { set: { 'x-d': '3' } },
    },
    rewrite: { path: { kind: 'segments', value: '/' }, authority: 'a.b' },
    cors: {
      allowOrigins: [
        { kind: 'regex', value: 'https://.*\\.a\\.b' },
        { kind: 'exact', value: 'https://c.d' },
      ],
      maxAgeS: 5,
      ignoreUnmatchedPreflights: true,
    },
    timeoutMs: 10_000,
    retry: { attempts: 4, perTryTimeoutMs: 2000, statuses: [503], backoffMs: 50 },
  });
  expect(route?.mirrors).toEqual([
    {
      destination: { host: 'payments-v2.shop.svc.cluster.local', port: 80, subset: '' },
      percent: 12.5,
    },
  ]);
});

test.each([
  ['no such Service', '{name: absent, port: 80}', /no Service shop\/absent/],
  ['no such port', '{name: web, port: 81}', /no port 81/],
  ['another kind', '{kind: Bucket, group: x.y, name: web}', /no kind of backend/],
  ['another namespace', '{name: ledger, namespace: bank, port: 80}', /no ReferenceGrant in bank/],
])('a backend that is %s is invalid, and keeps its share', (_, backend, reason) => {
  const [route] = routesOf(`- backendRefs: [${backend}, {name: web, port: 80, weight: 3}]`);
  expect(route?.action).toMatchObject({
    destinations: [
      { weight: 1, invalid: expect.stringMatching(reason) },
      { destination: web, weight: 3 },
    ],
  });
  const { destinations = [] } = (route?.action ?? {}) as { destinations?: object[] };
  expect(destinations[1]).not.toHaveProperty('invalid');
});

test('no backends, or none with a share, is no destination', () => {
  const none = { kind: 'forward', destinations: [] };
  expect(routesOf('- matches: [{}]')[0]?.action).toEqual(none);
  expect(routesOf('- backendRefs: [{name: web, port: 80, weight: 0}]')[0]?.action).toEqual(none);
});

test('a filter that is not served is never skipped', () => {
  const filter = '{type: ExtensionRef, extensionRef: {group: x.y, kind: A, name: b}}';
  const invalid = expect.stringContaining('ExtensionRef');
  expect(routesOf(`- {filters: [${filter}], ${toWeb}}`)[0]?.action).toMatchObject({
    destinations: [{ invalid }],
  });
});

test('a ReferenceGrant lets a route send calls to another namespace', () => {
  const grant = `apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
  to: [{group: "", kind: Service, name: ledger}]`;
  const to = '- backendRefs: [{name: ledger, namespace: bank, port: 80}]';
  const destinations = [{ destination: expect.objectContaining({ port: 80 }), weight: 1 }];
  expect(routesOf(to, grant)[0]?.action).toEqual({ kind: 'forward', destinations });
  for (const other of ['name: other', 'kind: GRPCRoute', 'namespace: foo']) {
    const wrong = other.startsWith('name:')
      ? grant.replace('name: ledger', other)
      : grant.replace(other.startsWith('kind') ? 'kind: HTTPRoute' : 'namespace: shop', other);
    expect(routesOf(to, wrong)[0]?.action).toMatchObject({
      destinations: [{ invalid: expect.stringContaining('ReferenceGrant') }],
    });
  }
});

test("a consumer's route is for its own namespace, where it wins, and asks for no grant", () => {
  const parent = 'parentRefs: [{group: "", kind: Service, name: payments, namespace: shop}]';
  const producer = httpRoute('p', `${parents}\nrules: [{name: producer, ${toWeb}}]`);
  const backend = 'backendRefs: [{name: payments, namespace: shop, port: 80}]';
  const consumer = httpRoute(
    'c',
    `${parent}\nrules: [{name: consumer, ${backend}}]`,
    'namespace: bank',
  );
  const mesh = meshOf(producer, consumer);
  expect(httpOf(groupsOf(mesh, 'shop'), payments)[0]?.name).toBe('producer');
  const [own] = httpOf(groupsOf(mesh, 'bank'), payments);
  expect(own?.name).toBe('consumer');
  expect(JSON.stringify(own)).not.toContain('invalid');
});

const namesOf = (texts: string[], of: number): string[] =>
  httpOf(groupsOf(meshOf(...texts)), payments, of).map(({ name }) => name);

test('a route of one port leaves the others alone, and shares its port with routes of all', () => {
  const port = httpRoute(
    'port',
    `parentRefs: [{group: "", kind: Service, name: payments, port: 8080}]\nrules: [{name: port, matches: [{path: {value: /a}}], ${toWeb}}]`,
  );
  const all = httpRoute('all', `${parents}\nrules: [{name: all, ${toWeb}}]`);
  expect(namesOf([port], 80)).toEqual([]);
  expect(namesOf([port], 8080)).toEqual(['port']);
  expect(namesOf([port, all], 8080)).toEqual(['port', 'all']);
  expect(namesOf([port, all], 80)).toEqual(['all']);
});

test('what has no Service, no such port, or a Gateway for parent is for no sidecar', () => {
  for (const ref of [
    '{group: "", kind: Service, name: absent}',
    '{group: "", kind: Service, name: payments, port: 9}',
    '{name: payments}',
  ]) {
    const text = httpRoute('r', `parentRefs: [${ref}]\nrules: [{${toWeb}}]`);
    expect(groupsOf(meshOf(text))).toEqual([]);
  }
});

test('a ServiceEntry is a parent too, by its hosts', () => {
  const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}`;
  const text = httpRoute(
    'r',
    'parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: api}]\nrules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: api.example.com, port: 80}]}]',
  );
  expect(httpOf(groupsOf(meshOf(entry, text)), 'api.example.com')[0]?.action).toEqual({
    kind: 'forward',
    destinations: [{ destination: { host: 'api.example.com', port: 80, subset: '' }, weight: 1 }],
  });
});

const methodRule = (name: string, method: string): string =>
  `- {name: ${name}, matches: [{method: {${method}}}], ${toWeb}}`;

test('calls of gRPC are matched by their path, and come before HTTPRoutes of the port', () => {
  const grpc = httpRoute(
    'g',
    `${parents}\nrules:\n${[
      methodRule('any-method', 'service: a.B'),
      methodRule('one', 'service: a.B, method: Get'),
      methodRule('method', 'method: Get'),
      methodRule('expression', 'type: RegularExpression, service: "a\\\\..*"'),
    ].join('\n')}`,
  ).replace('kind: HTTPRoute', 'kind: GRPCRoute');
  const http = httpRoute('h', `${parents}\nrules: [{${toWeb}}]`);
  const routes = httpOf(groupsOf(meshOf(http, grpc)), payments);
  expect(routes.map(({ name, matches }) => [name, matches[0]?.path])).toEqual([
    ['expression', { kind: 'regex', value: '/a\\..*/.+' }],
    ['one', { kind: 'exact', value: '/a.B/Get' }],
    ['any-method', { kind: 'prefix', value: '/a.B/' }],
    ['method', { kind: 'regex', value: '/[^/]+/Get' }],
  ]);
});

const inYear = (year: number): string => `, creationTimestamp: "${year}-01-01T00:00:00Z"`;

test('beside a VirtualService the older one counts, but not against routes of the own namespace', () => {
  const route = httpRoute(
    'r',
    `${parents}\nrules: [{name: gateway, ${toWeb}}]`,
    `namespace: shop${inYear(2021)}`,
  );
  const rule = 'hosts: [payments]\nhttp: [{name: istio, route: [{destination: {host: web}}]}]';
  const first = (year: number, namespace: string): string | undefined =>
    httpOf(groupsOf(meshOf(route, virtualService('v', rule, inYear(year))), namespace), payments)[0]
      ?.name;
  expect(first(2020, 'bank')).toBe('istio');
  expect(first(2022, 'bank')).toBe('gateway');
  expect(first(2020, 'shop')).toBe('gateway');
});

const sessionOf = (text: string): unknown => {
  const [route] = routesOf(`- {${toWeb}, sessionPersistence: {${text}}}`);
  return route?.action.kind === 'forward' ? route.action.session : undefined;
};

test('sessions have a name, and ends in whole seconds', () => {
  expect(sessionOf('')).toEqual({ kind: 'cookie', name: 'selvage-shop-r-0' });
  expect(sessionOf('sessionName: X-Stay, type: Header, idleTimeout: 1500ms')).toEqual({
    kind: 'header',
    name: 'x-stay',
    idleS: 2,
  });
  expect(
    sessionOf('sessionName: Stay, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}'),
  ).toEqual({ kind: 'cookie', name: 'Stay', absoluteS: 3600, permanent: true });
});
