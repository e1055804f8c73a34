import { expect, test } from 'vitest';

import { codes, lint, mesh, policy, resource } from './mesh.ts';

const rules = (rule: string, action = 'ALLOW'): string =>
  policy(`{action: ${action}, rules: [${rule}]}`);
const source = (fields: string, action?: string): string =>
  rules(`{from: [{source: {${fields}}}]}`, action);
const operation = (fields: string, action?: string): string =>
  rules(`{to: [{operation: {${fields}}}]}`, action);
const when = (key: string, values: string): string => rules(`{when: [{key: "${key}", ${values}}]}`);

test('a mesh without policies, and one with a sound policy, have nothing to mend', () => {
  expect(codes(mesh)).toEqual([]);
  expect(
    codes(
      mesh,
      rules(
        '{from: [{source: {principals: ["cluster.local/ns/foo/sa/srv-sa"]}}], to: [{operation: {methods: [GET], paths: ["/api/*"], ports: ["8080"]}}]}',
      ),
    ),
  ).toEqual([]);
});

test.each([
  ['spiffe:// in front', '"spiffe://cluster.local/ns/foo/sa/srv-sa"', 'principal-with-scheme'],
  ['an unknown account', 'cluster.local/ns/foo/sa/srv', 'principal-unknown'],
  ['an unknown account behind a wildcard', '"*/ns/foo/sa/srv"', 'principal-unknown'],
  ['an unknown namespace', 'cluster.local/ns/fooo/sa/srv-sa', 'namespace-unknown'],
  ['an unknown trust domain', 'corp/ns/foo/sa/srv-sa', 'trust-domain-unknown'],
  ['another case', 'Cluster.local/ns/foo/sa/srv-sa', 'trust-domain-unknown'],
  ['no account', 'cluster.local/ns/foo', 'principal-malformed'],
  ['more parts', 'cluster.local/ns/foo/sa/srv-sa/extra', 'principal-malformed'],
  ['stars at both ends', '"*/ns/foo/*"', 'wildcard-literal'],
])('a principal with %s is told of', (_, value, code) => {
  expect(codes(mesh, source(`principals: [${value}]`))).toEqual([code]);
  expect(codes(mesh, when('source.principal', `values: [${value}]`))).toEqual([code]);
});

test.each([
  '"*"',
  '"*/ns/foo/sa/srv-sa"',
  '"cluster.local/ns/foo/*"',
  'cluster.local/ns/bar/sa/sleep',
  'cluster.local/ns/foo/sa/default',
])('the principal %s is met', (value) => {
  expect(codes(mesh, source(`principals: [${value}]`))).toEqual([]);
});

const aliases = 'kind: MeshConfig\ntrustDomain: corp\ntrustDomainAliases: [old]';

test('aliases of the trust domain and cluster.local are known, shorter patterns are not expanded', () => {
  expect(codes(mesh, aliases, source('principals: ["old/ns/foo/sa/srv-sa"]'))).toEqual([]);
  expect(codes(mesh, aliases, source('principals: ["cluster.local/ns/foo/sa/srv-sa"]'))).toEqual(
    [],
  );
  expect(codes(mesh, aliases, source('principals: ["corp/ns/foo/*"]'))).toEqual([
    'principal-not-expanded',
  ]);
  expect(codes(mesh, aliases, source('principals: ["corp/ns/foo/sa/*"]'))).toEqual([]);
});

test('trust domains, namespaces and service accounts that nobody has are told of', () => {
  expect(codes(mesh, source('trustDomains: [corp]'))).toEqual(['trust-domain-unknown']);
  expect(codes(mesh, source('trustDomains: ["cluster.*"]'))).toEqual([]);
  expect(codes(mesh, source('namespaces: [fooo]'))).toEqual(['namespace-unknown']);
  expect(codes(mesh, source('namespaces: ["f*o"]'))).toEqual([]);
  expect(codes(mesh, source('namespaces: ["/ns/foo/"]'))).toEqual(['namespace-malformed']);
  expect(codes(mesh, source('serviceAccounts: [foo/srv-sa]'))).toEqual([]);
});

test('a short service account means the namespace of the policy', () => {
  const [problem] = lint(mesh, source('serviceAccounts: [srv-sa]'));
  expect(problem).toMatchObject({ code: 'service-account-unknown' });
  expect(problem?.message).toContain('bar, the namespace of the policy');
});

test('a near miss says what was meant', () => {
  const [problem] = lint(mesh, source('principals: [cluster.local/ns/foo/sa/srv-as]'));
  expect(problem?.mend).toBe('did you mean foo/sa/srv-sa?');
});

test('a folder of policies alone is not asked for its workloads', () => {
  expect(codes(source('principals: [cluster.local/ns/x/sa/y], serviceAccounts: []'))).toEqual([
    'list-empty',
  ]);
  expect(codes(source('namespaces: [x]'))).toEqual([]);
});

test.each([
  ['/admin?x=1', 'path-with-query'],
  ['/admin#x', 'path-with-query'],
  ['/a/../b', 'path-not-normal'],
  ['/%41', 'path-not-normal'],
  ['/sp ace', 'path-not-normal'],
  ['/a\\\\b', 'path-not-normal'],
  ['/a/%00', 'path-not-normal'],
  ['/./x*', 'path-not-normal'],
  ['*/../x', 'path-not-normal'],
  ['admin', 'path-relative'],
  ['admin*', 'path-relative'],
  ['/m*d', 'wildcard-literal'],
  ['*mid*', 'wildcard-literal'],
  ['**', 'wildcard-literal'],
  ['/foo/{**}', 'template-without-base'],
])('the path %s never matches, or not as it looks', (path, code) => {
  expect(codes(mesh, operation(`paths: ["${path}"]`))).toEqual([code]);
  expect(codes(mesh, operation(`methods: [GET], notPaths: ["/x*", "${path}"]`))).toEqual([code]);
});

test.each([
  '/',
  '*',
  '/a',
  '/a/*',
  '*.js',
  '/a//b',
  '/a%2Fb',
  '/{*}/b',
  '/{**}',
  '/.well-known/*',
  '/a.',
])('the path %s is sound', (path) => {
  expect(codes(mesh, operation(`paths: ["${path}"]`))).toEqual([]);
});

test('what is normal depends on the mesh', () => {
  const merging = 'kind: MeshConfig\npathNormalization: {normalization: MERGE_SLASHES}';
  const decoding = merging.replace('MERGE', 'DECODE_AND_MERGE');
  const none = 'kind: MeshConfig\npathNormalization: {normalization: NONE}';
  expect(codes(mesh, merging, operation('paths: ["/a//b"]'))).toEqual(['path-not-normal']);
  expect(codes(mesh, decoding, operation('paths: ["/a%2Fb"]'))).toEqual(['path-not-normal']);
  expect(codes(mesh, none, operation('paths: ["/a/../b"]'))).toEqual([]);
  expect(codes(mesh, none, operation('paths: ["/a#b"]'))).toEqual(['path-with-query']);
});

test('a path that is not normal comes with its normal form', () => {
  const [problem] = lint(mesh, operation('paths: ["/a/../b*"]'));
  expect(problem?.mend).toBe('write "/b*"');
});

test('a DENY on an exact path says by which spellings it is passed', () => {
  const [problem] = lint(mesh, operation('paths: [/admin]', 'DENY'));
  expect(problem).toMatchObject({ code: 'path-exact-evaded', line: expect.any(Number) });
  for (const spelling of ['"/admin/"', '"//admin"', '"/Admin"'])
    expect(problem?.message).toContain(spelling);
  expect(codes(mesh, operation('paths: [/admin, /admin/*, //admin*]', 'DENY'))).toEqual([]);
  expect(codes(mesh, operation('paths: ["/admin*", "//admin*"]', 'DENY'))).toEqual([]);
  expect(codes(mesh, operation('paths: [/, "*.php"]', 'DENY'))).toEqual([]);
  expect(codes(mesh, operation('paths: [/admin]', 'ALLOW'))).toEqual([]);
});

test('escapes in another case and templates with a slash at the end are spellings too', () => {
  expect(
    lint(mesh, operation('paths: ["/a%2Fb", "/a%2Fb/*", "//a%2Fb*"]', 'DENY'))[0]?.message,
  ).toContain('"/a%2fb"');
  const [problem] = lint(mesh, operation('paths: ["/a/{*}"]', 'DENY'));
  expect(problem).toMatchObject({ code: 'path-exact-evaded' });
  expect(problem?.mend).toContain('"/a/{*}/{**}"');
  expect(codes(mesh, operation('paths: ["/a/{*}", "/a/{*}/{**}"]', 'DENY'))).toEqual([]);
});

test('merged slashes leave one spelling less', () => {
  const merging = 'kind: MeshConfig\npathNormalization: {normalization: MERGE_SLASHES}';
  const [problem] = lint(mesh, merging, operation('paths: [/admin]', 'DENY'));
  expect(problem?.message).not.toContain('//admin');
  expect(codes(mesh, merging, operation('paths: [/admin, /admin/*]', 'DENY'))).toEqual([]);
});

test('an ALLOW of all but one path has the same hole', () => {
  expect(codes(mesh, operation('notPaths: [/admin]'))).toEqual(['path-exact-evaded']);
});

test.each([
  ['get', 'method-lower-case', /^write "GET"$/],
  ['GTE', 'method-unknown', /^write "GET"$/],
  ['b*r', 'wildcard-literal', /prefix/],
])('the method %s is told of', (method, code, mend) => {
  const [problem, ...rest] = lint(mesh, operation(`methods: ["${method}"]`));
  expect(rest).toEqual([]);
  expect(problem?.code).toBe(code);
  expect(problem?.mend).toMatch(mend);
});

test.each(['GET', '*', 'PRO*', '*T'])('the method %s is sound', (method) => {
  expect(codes(mesh, operation(`methods: ["${method}"]`))).toEqual([]);
});

test('hosts keep their port, and a suffix lacks the name itself', () => {
  expect(codes(mesh, operation('hosts: [example.com]'))).toEqual(['host-without-port']);
  expect(codes(mesh, operation('hosts: [example.com, "example.com:*"]'))).toEqual([]);
  expect(codes(mesh, operation('hosts: ["example.com:8080"]'))).toEqual([]);
  expect(codes(mesh, operation('hosts: ["*.example.com"]'))).toEqual([
    'host-without-apex',
    'host-without-port',
  ]);
  expect(codes(mesh, operation('hosts: ["https://example.com/"]'))).toEqual(['host-malformed']);
  expect(codes(mesh, operation('hosts: ["*"]'))).toEqual([]);
});

test('a server name with capitals never matches', () => {
  expect(codes(mesh, when('connection.sni', 'values: [Example.com]'))).toEqual(['sni-upper-case']);
  expect(codes(mesh, when('connection.sni', 'values: [example.com]'))).toEqual([]);
});

test.each([
  ['request.headers[Connection]', 'header-gone'],
  ['request.headers[x-forwarded-client-cert]', 'header-rewritten'],
  ['request.headers[:path]', 'header-path-with-query'],
  ['request.headers[:authority]', 'header-host-case'],
])('the condition on %s is told of once', (key, code) => {
  expect(lint(mesh, when(key, 'values: [a, b]')).map((problem) => problem.code)).toEqual([code]);
});

test('values of headers: blanks around them never match, stars in them are letters', () => {
  expect(codes(mesh, when('request.headers[x]', 'values: [" a"]'))).toEqual(['header-blank']);
  expect(codes(mesh, when('request.headers[x]', 'values: ["a*b"]'))).toEqual(['wildcard-literal']);
  expect(codes(mesh, when('request.headers[x]', 'values: ["a b", "*"]'))).toEqual([]);
  expect(codes(mesh, when('request.headers[x]', 'values: ["a, b"]'))).toEqual(['header-comma']);
  expect(codes(mesh, when('request.headers[x]', 'values: ["text/html,a/b"]'))).toEqual([]);
});

test('a token that RequestAuthentication removes is not in the header any more', () => {
  const keys = '{jwtRules: [{issuer: a, jwks: \'{"keys":[]}\'}]}';
  const look = when('request.headers[Authorization]', 'values: ["Bearer *"]');
  expect(codes(mesh, resource('RequestAuthentication', keys), look)).toContain('token-removed');
  const basic = when('request.headers[Authorization]', 'values: ["Basic *"]');
  expect(codes(mesh, resource('RequestAuthentication', keys), basic)).not.toContain(
    'token-removed',
  );
  const kept = keys.replace('issuer: a', 'issuer: a, forwardOriginalToken: true');
  expect(codes(mesh, resource('RequestAuthentication', kept), look)).not.toContain('token-removed');
});

const inFoo = (fields: string): string =>
  policy(
    `{rules: [{to: [{operation: {${fields}}}]}, {to: [{operation: {ports: ["9000"]}}]}]}`,
    'namespace: foo',
  );

test('ports are those of the workload, not those of its Service', () => {
  const [problem] = lint(mesh, inFoo('ports: ["80"]'));
  expect(problem).toMatchObject({ code: 'port-of-service', mend: 'write "8080"' });
  expect(codes(mesh, inFoo('ports: ["8080"]'))).toEqual([]);
  expect(codes(mesh, inFoo('ports: ["7777"]'))).toEqual([]);
});

test.each([
  ['ipBlocks: ["10.1.2.3/8"]', ['ip-host-bits']],
  ['ipBlocks: ["2001:db8::1/32"]', ['ip-host-bits']],
  ['ipBlocks: ["10.0.0.0/8", "10.1.2.3"]', []],
  ['ipBlocks: ["::/0"]', ['ip-one-family']],
  ['ipBlocks: ["0.0.0.0/0", "::/0"]', []],
  ['ipBlocks: ["::ffff:10.0.0.1"]', ['ip-mapped']],
  ['remoteIpBlocks: ["10.0.0.0/8"]', ['remote-ip-forgeable']],
])('addresses: %s', (fields, expected) => {
  expect(codes(mesh, source(fields))).toEqual(expected);
});

test('a block with host bits is shown as what it means', () => {
  expect(lint(mesh, source('ipBlocks: ["10.1.2.3/9"]'))[0]?.mend).toContain('"10.0.0.0/9"');
  expect(lint(mesh, source('ipBlocks: ["2001:db8::1/32"]'))[0]?.mend).toContain('"2001:db8::/32"');
});

test('remote.ip is forgeable as a condition too', () => {
  expect(codes(mesh, when('remote.ip', 'notValues: [10.0.0.1]'))).toEqual(['remote-ip-forgeable']);
});
