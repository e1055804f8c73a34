import { expect, test } from 'vitest';

import { groupsOf, httpOf, meshOf, payments, virtualService } from './mesh.ts';

/** What the one rule of a VirtualService for payments is compiled to. */
function ruleOf(rule: string): object {
  const text = virtualService(
    'p',
    `hosts: [payments]\nhttp:\n- ${rule.trim().replace(/\n/g, '\n  ')}`,
  );
  const [route = {}] = httpOf(groupsOf(meshOf(text)), payments);
  const {
    name: _,
    source: __,
    path: ___,
    matches: ____,
    ...rest
  } = route as Record<string, unknown>;
  return rest;
}

function matchesOf(match: string): unknown {
  const text = virtualService(
    'p',
    `hosts: [payments]\nhttp:\n- match:\n  - ${match.trim().replace(/\n/g, '\n    ')}\n  route: [{destination: {host: web}}]`,
  );
  return httpOf(groupsOf(meshOf(text)), payments)[0]?.matches;
}

const web = { host: 'web.shop.svc.cluster.local', port: 0, subset: '' };
const toWeb = { kind: 'forward', destinations: [{ destination: web, weight: 1 }] };
const route = 'route: [{destination: {host: web}}]';

test('a group names its hosts fully, and says where it was written', () => {
  const text = virtualService(
    'p',
    `hosts: [payments, API.example.com]\nhttp:\n- name: one\n  ${route}`,
  );
  const [group, ...others] = groupsOf(meshOf(text));
  expect(others).toEqual([]);
  expect(group).toMatchObject({
    key: 'VirtualService/shop/p',
    hosts: [payments, 'api.example.com'],
    port: 0,
    http: [
      {
        name: 'one',
        source: 'VirtualService shop/p',
        path: 'spec.http[0]',
        matches: [],
        action: toWeb,
      },
    ],
    tls: [],
    tcp: [],
    origin: { file: 'mesh.yaml' },
  });
});

test.each([
  ['exact path', 'uri: {exact: /a}', { path: { kind: 'exact', value: '/a' } }],
  [
    'prefix without case',
    'uri: {prefix: /A}\nignoreUriCase: true',
    { path: { kind: 'prefix', value: '/A', ignoreCase: true } },
  ],
  ['regex', 'uri: {regex: "/v[0-9]+/.*"}', { path: { kind: 'regex', value: '/v[0-9]+/.*' } }],
  [
    'method and name',
    'method: {exact: GET}\nname: m',
    { name: 'm', method: { kind: 'exact', value: 'GET' } },
  ],
  ['authority', 'authority: {prefix: api.}', { authority: { kind: 'prefix', value: 'api.' } }],
  ['scheme', 'scheme: {exact: https}', { scheme: { kind: 'exact', value: 'https' } }],
  [
    'headers lower-case, there, and not',
    'headers: {X-User: {exact: a}, x-any: {}}\nwithoutHeaders: {X-Debug: {regex: "*"}}',
    {
      headers: [
        { name: 'x-user', match: { kind: 'exact', value: 'a' } },
        { name: 'x-any', match: null },
        { name: 'x-debug', match: null, not: true },
      ],
    },
  ],
  [
    'query parameters as written',
    'queryParams: {Id: {prefix: "1"}}',
    { query: [{ name: 'Id', match: { kind: 'prefix', value: '1' } }] },
  ],
])('a match of %s', (_, written, compiled) => {
  expect(matchesOf(written)).toEqual([compiled]);
});

test.each([
  [
    'a destination with port and subset',
    'route: [{destination: {host: web, subset: v1, port: {number: 81}}}]',
    {
      action: {
        kind: 'forward',
        destinations: [{ destination: { host: web.host, port: 81, subset: 'v1' }, weight: 1 }],
      },
    },
  ],
  [
    'weights, of which 0 gets nothing',
    'route:\n- destination: {host: web}\n  weight: 90\n- destination: {host: out.example.com}\n- destination: {host: x.y}\n  weight: 10',
    {
      action: {
        kind: 'forward',
        destinations: [
          { destination: web, weight: 90 },
          { destination: { host: 'out.example.com', port: 0, subset: '' }, weight: 0 },
          { destination: { host: 'x.y', port: 0, subset: '' }, weight: 10 },
        ],
      },
    },
  ],
  [
    'a redirect',
    'redirect: {uri: /new, authority: new.example.com, scheme: https}',
    {
      action: {
        kind: 'redirect',
        status: 301,
        scheme: 'https',
        authority: 'new.example.com',
        port: 0,
        path: { kind: 'full', value: '/new' },
      },
    },
  ],
  [
    'a redirect to the port of its scheme, which is not written',
    'redirect: {scheme: https, port: 443, redirectCode: 308}',
    { action: { kind: 'redirect', status: 308, scheme: 'https', port: 0 } },
  ],
  [
    'a redirect with the port that was called',
    'redirect: {authority: a.b, derivePort: FROM_REQUEST_PORT}',
    { action: { kind: 'redirect', status: 301, authority: 'a.b' } },
  ],
  [
    'an answer',
    'directResponse: {status: 200, body: {string: ok}}',
    { action: { kind: 'respond', status: 200, body: 'ok' } },
  ],
  [
    'an answer in base64',
    'directResponse: {status: 503, body: {bytes: b2s=}}',
    { action: { kind: 'respond', status: 503, body: 'ok' } },
  ],
  [
    'a rewrite of a prefix and the host',
    `rewrite: {uri: /, authority: x.y}\n${route}`,
    { action: toWeb, rewrite: { path: { kind: 'prefix', value: '/' }, authority: 'x.y' } },
  ],
  [
    'a rewrite by expression',
    `rewrite: {uriRegexRewrite: {match: "^/a/(.*)", rewrite: '/b/\\1'}}\n${route}`,
    { action: toWeb, rewrite: { path: { kind: 'regex', match: '^/a/(.*)', value: '/b/\\1' } } },
  ],
  [
    'edits of headers, of which the host becomes a rewrite',
    `headers: {request: {set: {X-A: "1", Host: h.i}, remove: [X-B]}, response: {add: {X-C: "2"}}}\n${route}`,
    {
      action: toWeb,
      headers: {
        request: { set: { 'x-a': '1' }, remove: ['x-b'] },
        response: { add: { 'x-c': '2' } },
      },
      rewrite: { authority: 'h.i' },
    },
  ],
  ['a timeout', `timeout: 1.5s\n${route}`, { action: toWeb, timeoutMs: 1500 }],
  [
    'retries without conditions',
    `retries: {attempts: 3}\n${route}`,
    {
      action: toWeb,
      retry: {
        attempts: 3,
        perTryTimeoutMs: 0,
        on: [
          'connect-failure',
          'refused-stream',
          'unavailable',
          'cancelled',
          'retriable-status-codes',
        ],
        statuses: [],
        backoffMs: 25,
        previousHosts: 'avoid',
      },
    },
  ],
  [
    'retries with statuses among the conditions',
    `retries: {attempts: 1, retryOn: "reset,503,504", perTryTimeout: 2s, backoff: 100ms, retryIgnorePreviousHosts: false, retryRemoteLocalities: true}\n${route}`,
    {
      action: toWeb,
      retry: {
        attempts: 1,
        perTryTimeoutMs: 2000,
        on: ['reset', 'retriable-status-codes'],
        statuses: [503, 504],
        backoffMs: 100,
        previousHosts: 'allow',
        remoteLocalities: true,
      },
    },
  ],
  ['no retries', `retries: {attempts: 0}\n${route}`, { action: toWeb, retry: { attempts: 0 } }],
  [
    'faults',
    `fault: {delay: {fixedDelay: 2s, percentage: {value: 50}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0.00015}}}\n${route}`,
    {
      action: toWeb,
      fault: {
        delay: { percent: 50, delayMs: 2000 },
        abort: { percent: 0.0001, status: 200, grpcStatus: 14 },
      },
    },
  ],
  ['faults of no share', `fault: {abort: {httpStatus: 500}}\n${route}`, { action: toWeb }],
  [
    'a mirror of everything',
    `mirror: {host: payments-v2}\n${route}`,
    {
      action: toWeb,
      mirrors: [
        {
          destination: { host: 'payments-v2.shop.svc.cluster.local', port: 0, subset: '' },
          percent: 100,
        },
      ],
    },
  ],
  [
    'mirrors, of which none gets nothing',
    `mirrors: [{destination: {host: web}, percentage: {value: 0}}, {destination: {host: web}, percentage: {value: 12.5}}]\n${route}`,
    { action: toWeb, mirrors: [{ destination: web, percent: 12.5 }] },
  ],
  [
    'CORS',
    `corsPolicy: {allowOrigins: [{exact: https://a.b}], allowMethods: [GET], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 24h, allowCredentials: true, unmatchedPreflights: IGNORE}\n${route}`,
    {
      action: toWeb,
      cors: {
        allowOrigins: [{ kind: 'exact', value: 'https://a.b' }],
        allowMethods: ['GET'],
        allowHeaders: ['x-a'],
        exposeHeaders: ['x-b'],
        maxAgeS: 86_400,
        allowCredentials: true,
        ignoreUnmatchedPreflights: true,
      },
    },
  ],
])('a rule with %s', (_, written, compiled) => {
  const rule = ruleOf(written);
  expect(rule).toMatchObject(compiled);
  expect(Object.keys(rule).toSorted()).toEqual(Object.keys(compiled).toSorted());
});

const editedBeside = (more: string): unknown =>
  ruleOf(
    `route:\n- destination: {host: web}\n  weight: 1\n  headers: {request: {set: {host: a.b}}}${more}`,
  );

test('one of several destinations writes its own host, a single one that of the rule', () => {
  expect(editedBeside('\n- destination: {host: x.y}\n  weight: 1')).toMatchObject({
    action: { destinations: [{ headers: { request: { set: { ':authority': 'a.b' } } } }, {}] },
  });
  expect(editedBeside('')).toMatchObject({ rewrite: { authority: 'a.b' } });
});

test('an annotation keeps callers with one of several destinations', () => {
  const spec = `hosts: [payments]\nhttp:\n- route: [{destination: {host: web}, weight: 1}, {destination: {host: payments-v2}, weight: 1}]`;
  const text = virtualService('p', spec, ', annotations: {selvage.dev/sticky-by: "header:X-User"}');
  expect(httpOf(groupsOf(meshOf(text)), payments)[0]?.action).toMatchObject({
    sticky: { kind: 'header', name: 'x-user' },
  });
});

test('control decides what depends on the caller alone', () => {
  const text = virtualService(
    'p',
    `hosts: [payments]
http:
- name: canary
  match: [{sourceLabels: {version: canary}}]
  ${route}
- name: bank
  match: [{sourceNamespace: bank, uri: {prefix: /b}}]
  ${route}
- name: gateway
  match: [{gateways: [shop/ingress], sourceLabels: {version: canary}}]
  ${route}
- name: mesh
  match: [{gateways: [mesh], sourceNamespace: nowhere, uri: {prefix: /m}}]
  ${route}`,
  );
  const mesh = meshOf(text);
  const names = (namespace: string, labels = {}): string[] =>
    httpOf(groupsOf(mesh, namespace, labels), payments).map(({ name }) => name);
  expect(names('shop')).toEqual(['mesh']);
  // It takes everything: what comes after it is not reached.
  expect(names('shop', { version: 'canary', app: 'x' })).toEqual(['canary']);
  expect(names('bank')).toEqual(['bank', 'mesh']);
});

test('rules of one port are a group of their own, before the others', () => {
  const text = virtualService(
    'p',
    `hosts: [payments]
http:
- name: a
  match: [{port: 8080, uri: {prefix: /a}}, {uri: {exact: /b}}]
  ${route}
- name: c
  match: [{port: 9090}]
  ${route}`,
  );
  const groups = groupsOf(meshOf(text));
  expect(
    groups.map(({ key, http }) => [
      key,
      http.map(({ name, matches }) => `${name} ${matches.length}`),
    ]),
  ).toEqual([
    ['VirtualService/shop/p 8080', ['a 2']],
    ['VirtualService/shop/p 9090', ['a 1', 'c 1']],
    ['VirtualService/shop/p', ['a 1']],
  ]);
});

test('wildcards are groups of their own, behind names and shorter ones', () => {
  const text = [
    virtualService('wild', `hosts: ["*.example.com", c.other.com]\nhttp: [{${route}}]`),
    virtualService('narrow', `hosts: ["*.b.example.com"]\nhttp: [{${route}}]`),
  ];
  expect(groupsOf(meshOf(...text)).map(({ key }) => key)).toEqual([
    'VirtualService/shop/wild',
    'VirtualService/shop/narrow *.b.example.com',
    'VirtualService/shop/wild *.example.com',
  ]);
});

test('connections are routed by server name, subnet and port', () => {
  const text = virtualService(
    'p',
    `hosts: [db.example.com]
tls:
- match: [{sniHosts: [DB.example.com], port: 443, sourceNamespace: shop}, {sniHosts: [db.example.com], sourceNamespace: bank}]
  route: [{destination: {host: web}}]
tcp:
- match: [{destinationSubnets: [10.0.0.0/8], port: 5432}]
  route: [{destination: {host: web}, weight: 3}, {destination: {host: ledger.bank.svc.cluster.local}, weight: 1}]`,
  );
  expect(groupsOf(meshOf(text))).toMatchObject([
    {
      http: [],
      tls: [
        {
          source: 'VirtualService shop/p',
          path: 'spec.tls[0]',
          matches: [{ sniHosts: ['db.example.com'], port: 443 }],
          destinations: [{ destination: web, weight: 1 }],
        },
      ],
      tcp: [
        {
          matches: [{ subnets: ['10.0.0.0/8'], port: 5432 }],
          destinations: [{ weight: 3 }, { weight: 1 }],
        },
      ],
    },
  ]);
});

test('what is only for gateways, or exported elsewhere, is for no sidecar here', () => {
  const text = [
    virtualService('g', `hosts: [a.b]\ngateways: [ingress]\nhttp: [{${route}}]`),
    virtualService('both', `hosts: [c.d]\ngateways: [ingress, mesh]\nhttp: [{${route}}]`),
    virtualService('own', `hosts: [e.f]\nexportTo: ["."]\nhttp: [{${route}}]`),
    virtualService('bank', `hosts: [g.h]\nexportTo: [bank]\nhttp: [{${route}}]`),
  ];
  const keys = (namespace: string): string[] =>
    groupsOf(meshOf(...text), namespace).map(({ key }) => key.split('/').at(-1) ?? '');
  expect(keys('shop')).toEqual(['own', 'both']);
  expect(keys('bank')).toEqual(['bank', 'both']);
});

const since = (created: string): string => `, creationTimestamp: "${created}"`;

test('of two for one host the oldest counts, but one that is exported by name comes before', () => {
  const old = virtualService(
    'old',
    `hosts: [payments]\nhttp: [{name: old, ${route}}]`,
    since('2020-01-01T00:00:00Z'),
  );
  const young = virtualService(
    'young',
    `hosts: [payments]\nhttp: [{name: young, ${route}}]`,
    since('2021-01-01T00:00:00Z'),
  );
  const own = young.replace('hosts:', 'exportTo: ["."]\n  hosts:');
  expect(httpOf(groupsOf(meshOf(young, old)), payments)[0]?.name).toBe('old');
  expect(httpOf(groupsOf(meshOf(own, old)), payments)[0]?.name).toBe('young');
  expect(httpOf(groupsOf(meshOf(own, old), 'bank'), payments)[0]?.name).toBe('old');
});
