import { expect, test } from 'vitest';

import { codes, lint, mesh, policy, resource } from './mesh.ts';

const inFoo = (spec: string): string => policy(spec, 'namespace: foo');
const strict = (namespace: string): string =>
  resource('PeerAuthentication', '{mtls: {mode: STRICT}}', `namespace: ${namespace}`);

test('a DENY with HTTP fields closes TCP ports, and says which', () => {
  const [problem] = lint(
    mesh,
    inFoo('{action: DENY, rules: [{to: [{operation: {paths: ["/a*"]}}]}]}'),
  );
  expect(problem).toMatchObject({
    code: 'deny-closes-tcp',
    mend: 'add ports: ["8080"] to the operation',
  });
  expect(problem?.message).toContain('TCP port 9000 of foo/srv');
  expect(problem?.message).toContain('undeclared port 8090 of foo/srv');
  expect(problem?.message).toContain('closes every connection');
});

test('a DENY that is left with a condition says what it closes', () => {
  const spec =
    '{action: DENY, rules: [{from: [{source: {namespaces: [bar]}}], to: [{operation: {methods: [PUT]}}]}]}';
  expect(lint(mesh, inFoo(spec))[0]?.message).toContain('closes all that meets namespaces');
});

test('one source of HTTP kind makes a DENY of two sources close TCP', () => {
  const spec =
    '{action: DENY, rules: [{from: [{source: {requestPrincipals: ["*"]}}, {source: {namespaces: [bar]}}]}]}';
  expect(codes(mesh, inFoo(spec))).toContain('deny-closes-tcp');
});

test('a DENY that names its HTTP ports, or applies to no TCP port, closes none', () => {
  const narrow = '{action: DENY, rules: [{to: [{operation: {paths: ["/a*"], ports: ["8080"]}}]}]}';
  expect(codes(mesh, inFoo(narrow))).toEqual([]);
  const byCondition =
    '{action: DENY, rules: [{to: [{operation: {paths: ["/a*"]}}], when: [{key: destination.port, values: ["8080"]}]}]}';
  expect(codes(mesh, inFoo(byCondition))).toEqual([]);
  expect(
    codes(mesh, policy('{action: DENY, rules: [{to: [{operation: {paths: ["/a*"]}}]}]}')),
  ).toEqual([]);
});

test('an ALLOW rule with an HTTP field is dropped whole on a TCP port', () => {
  const two = '{rules: [{to: [{operation: {paths: ["/a*"]}}, {operation: {ports: ["9000"]}}]}]}';
  const [problem] = lint(mesh, inFoo(two));
  expect(problem).toMatchObject({ code: 'allow-dropped-on-tcp' });
  expect(problem?.message).toContain('TCP port 9000 of foo/srv');
  expect(codes(mesh, inFoo('{rules: [{to: [{operation: {paths: ["/a*"]}}]}]}'))).toEqual([
    'allow-dropped-on-tcp',
  ]);
});

test('an ALLOW rule of its own for the TCP port settles it', () => {
  const apart =
    '{rules: [{to: [{operation: {paths: ["/a*"]}}]}, {to: [{operation: {ports: ["9000"]}}]}]}';
  expect(codes(mesh, inFoo(apart))).toEqual([]);
  const narrow = '{rules: [{to: [{operation: {paths: ["/a*"], ports: ["8080"]}}]}]}';
  expect(codes(mesh, inFoo(narrow))).toEqual([]);
});

test.each([
  'notPrincipals: [cluster.local/ns/foo/sa/srv-sa]',
  'notNamespaces: [foo]',
  'notServiceAccounts: [foo/srv-sa]',
])('ALLOW with %s lets plaintext in, unless it is refused', (fields) => {
  const allow = policy(`{rules: [{from: [{source: {${fields}}}]}]}`);
  expect(codes(mesh, allow)).toEqual(['negative-lets-absent-pass']);
  expect(codes(mesh, allow, strict('bar'))).toEqual([]);
  expect(codes(mesh, allow, strict('istio-system'))).toEqual([]);
  expect(codes(mesh, allow.replace('spec: {', 'spec: {action: DENY, '))).toEqual([]);
});

test('a positive field in the same source keeps the anonymous out', () => {
  const source = 'notPrincipals: [cluster.local/ns/foo/sa/srv-sa], principals: ["*"]';
  expect(codes(mesh, policy(`{rules: [{from: [{source: {${source}}}]}]}`))).toEqual([]);
  const apart = '{source: {notNamespaces: [foo]}}, {source: {principals: ["*"]}}';
  expect(codes(mesh, policy(`{rules: [{from: [${apart}]}]}`))).toEqual([
    'negative-lets-absent-pass',
  ]);
});

const rule = (key: string, more = ''): string =>
  policy(`{rules: [{when: [{key: "${key}", notValues: [x]${more}}]}]}`);

test('ALLOW with a negative header or token condition lets in what has none', () => {
  expect(codes(mesh, rule('request.headers[x-a]'))).toEqual(['negative-lets-absent-pass']);
  expect(codes(mesh, rule('request.headers[x-a]', ', values: ["*"]'))).toEqual([]);
  expect(codes(mesh, rule('request.auth.claims[a]'))).toContain('negative-lets-absent-pass');
});

test('empty lists and rules are told of', () => {
  expect(codes(mesh, policy('{rules: []}'))).toEqual(['allow-nothing']);
  expect(codes(mesh, policy('{}'))).toEqual([]);
  expect(codes(mesh, policy('{rules: [{}]}'))).toEqual([]);
  const beside = '{rules: [{}, {to: [{operation: {methods: [GET]}}]}]}';
  expect(codes(mesh, policy(beside))).toEqual(['rule-matches-all']);
  expect(codes(mesh, policy('{rules: [{from: [], to: [{operation: {methods: [GET]}}]}]}'))).toEqual(
    ['list-empty'],
  );
  expect(
    codes(mesh, policy('{rules: [{to: [{operation: {methods: [GET], paths: []}}]}]}')),
  ).toEqual(['list-empty']);
});

test('an ALLOW policy for all takes every other one its effect', () => {
  const narrow = policy('{rules: [{to: [{operation: {methods: [GET]}}]}]}', 'name: q');
  const [problem, ...rest] = lint(mesh, policy('{rules: [{}]}', 'namespace: istio-system'), narrow);
  expect(rest).toEqual([]);
  expect(problem).toMatchObject({ code: 'allow-overrides' });
  expect(problem?.message).toContain('bar/q restricts nothing on bar/web');
  expect(codes(mesh, policy('{}'), narrow)).toEqual([]);
  expect(codes(mesh, policy('{action: DENY, rules: [{}]}'), narrow)).toEqual([]);
});

test('a policy on trial is told of, and closes nothing', () => {
  const metadata = 'namespace: foo, annotations: {istio.io/dry-run: "true"}';
  const trial = policy('{action: DENY, rules: [{to: [{operation: {paths: ["/a*"]}}]}]}', metadata);
  expect(codes(mesh, trial)).toEqual(['dry-run']);
  expect(codes(mesh, trial.replace('"true"', '"0"'))).toEqual(['deny-closes-tcp']);
});

const authentication = resource(
  'RequestAuthentication',
  '{jwtRules: [{issuer: "https://iss/1", jwks: \'{"keys":[]}\'}]}',
);
const asking = (values: string, action = 'ALLOW', field = 'requestPrincipals'): string =>
  policy(`{action: ${action}, rules: [{from: [{source: {${field}: [${values}]}}]}]}`);

test('a RequestAuthentication that no policy asks a token for lets everybody in', () => {
  expect(codes(mesh, authentication)).toEqual(['token-optional']);
  expect(codes(mesh, authentication, asking('"*"'))).toEqual([]);
  expect(codes(mesh, authentication, asking('"*"', 'DENY', 'notRequestPrincipals'))).toEqual([]);
  expect(codes(mesh, authentication, asking('"*"', 'DENY'))).toEqual(['token-optional']);
  const elsewhere = asking('"*"').replace('namespace: bar', 'namespace: foo');
  expect(codes(mesh, authentication, elsewhere)).toContain('token-optional');
});

test('a place of its own for the token switches the usual ones off', () => {
  const own = authentication.replace('jwks:', 'fromParams: [token], jwks:');
  expect(codes(mesh, own, asking('"*"'))).toEqual(['token-header-unread']);
  const both = own.replace('jwks:', 'fromHeaders: [{name: x}], jwks:');
  expect(codes(mesh, both, asking('"*"'))).toEqual([]);
});

test('a condition on tokens where nobody reads tokens never matches', () => {
  expect(codes(mesh, asking('"*"'))).toEqual(['token-unread']);
  const claim = policy('{rules: [{when: [{key: "request.auth.claims[a]", values: [b]}]}]}');
  expect(codes(mesh, claim)).toEqual(['token-unread']);
});

test.each([
  ['https://iss/1/*', []],
  ['https://iss/1/alice', []],
  ['*/alice', []],
  ['just-an-issuer', ['request-principal-without-subject']],
  ['https://iss1', ['request-principal-split-in-scheme']],
  ['https://iss1*', ['request-principal-split-in-scheme']],
  ['https://other/*', ['issuer-unknown']],
  ['https://iss/*', ['issuer-unknown']],
  ['*a*', ['wildcard-literal']],
])('the request principal %s: %j', (value, expected) => {
  expect(codes(mesh, authentication, asking(`"${value}"`))).toEqual(expected);
});

test.each([
  ['request.auth.claims[realm_access.roles]', 'admin', ['claim-dotted']],
  ['request.auth.claims[realm_access][roles]', 'admin', []],
  ['request.auth.claims[https://a.b/c]', 'admin', []],
  ['request.auth.claims[scope]', 'read write', ['claim-split']],
  ['request.auth.claims[name]', 'Ada Lovelace', []],
  ['request.auth.claims[admin]', 'true', ['claim-typed']],
  ['request.auth.claims[level]', '3', ['claim-typed']],
])('the claim %s = %s: %j', (key, value, expected) => {
  const rule = `{rules: [{when: [{key: "${key}", values: ["${value}"]}]}]}`;
  expect(codes(mesh, authentication, policy(rule))).toEqual(expected);
});

const providers = `kind: MeshConfig
extensionProviders:
- {name: opa, envoyExtAuthzHttp: {service: web.bar.svc.cluster.local, port: 8080}}
- {name: gone, envoyExtAuthzHttp: {service: opa.sys.svc.cluster.local, port: 8080}}
- {name: zipkin, zipkin: {service: x, port: 1}}`;
const custom = (provider: string, metadata = ''): string =>
  policy(
    `{action: CUSTOM, provider: {name: ${provider}}, rules: [{to: [{operation: {paths: ["/a*"]}}]}]}`,
    metadata,
  );

test('providers that nobody configured, that are no authorizers, or that do not exist', () => {
  expect(codes(mesh, providers, custom('opa'))).toEqual([]);
  expect(codes(mesh, providers, custom('zipkin'))).toEqual(['provider-unknown']);
  expect(codes(mesh, providers, custom('gone'))).toEqual(['authorizer-unknown']);
  const [problem] = lint(mesh, providers, custom('opaa'));
  expect(problem).toMatchObject({ code: 'provider-unknown', mend: 'did you mean opa?' });
});

test('two authorizers on one workload refuse everything', () => {
  const both = [custom('opa'), custom('gone', 'name: q')];
  expect(codes(mesh, providers, ...both)).toEqual(['authorizer-unknown', 'providers-conflict']);
  const apart = [custom('opa'), custom('opa', 'name: q')];
  expect(codes(mesh, providers, ...apart)).toEqual([]);
});

test('an authorizer is never asked on a TCP port', () => {
  expect(codes(mesh, providers, custom('opa', 'namespace: foo'))).toEqual(['custom-on-tcp']);
});

test('each problem names its policy and its place', () => {
  const [problem] = lint(mesh, policy('{rules: [{to: [{operation: {methods: [GET, get]}}]}]}'));
  expect(problem).toMatchObject({
    severity: 'warning',
    resource: 'AuthorizationPolicy bar/p',
    file: 'f.yaml',
    column: 50,
  });
});
