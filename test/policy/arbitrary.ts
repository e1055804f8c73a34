// Random policies and calls over a small vocabulary, so that matches, near misses and odd values are all common.
import * as fc from 'fast-check';

import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import type { PolicyInput } from '#policy/compile.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';

import { authorization, cart, connection, request, token } from './making.ts';

const names = ['web', 'admin', 'cart', 'shop', 'x'];
const domains = ['cluster.local', 'td1', 'old-td', 'other'];

/** Values, and the same with the wildcards of Istio put in odd and even places. */
function wildly(base: readonly string[]): fc.Arbitrary<string> {
  const value = fc.constantFrom(...base);
  return fc.oneof(
    { weight: 5, arbitrary: value },
    { weight: 2, arbitrary: value.chain((v) => fc.nat(v.length).map((n) => `${v.slice(0, n)}*`)) },
    { weight: 2, arbitrary: value.chain((v) => fc.nat(v.length).map((n) => `*${v.slice(n)}`)) },
    { weight: 1, arbitrary: value.map((v) => `${v.slice(0, 2)}*${v.slice(3)}`) },
    { weight: 1, arbitrary: fc.constantFrom('*', '**', '*a*') },
  );
}

const identity = fc
  .tuple(
    fc.constantFrom(...domains),
    fc.constantFrom('', '/x'),
    fc.constantFrom(...names),
    fc.constantFrom('', '/ns/shop', '/y'),
    fc.constantFrom(...names),
    fc.constantFrom('', '', '', '/extra'),
  )
  .map(([td, a, ns, b, sa, c]) => `${td}${a}/ns/${ns}${b}/sa/${sa}${c}`);
const identities = ['cluster.local/ns/shop/sa/web', 'td1/ns/shop/sa/web', 'old-td/ns/x/sa/admin'];
const paths = ['/', '/a', '/a/b', '/admin', '/admin/', '/a//b', '/a/b/c', '/a.js', '/%7B*%7D'];
const templates = ['/a/{*}', '/{*}/b', '/a/{**}', '/{**}/c', '/{*}/{**}', '/{**}', '/{**}/{*}'];
const hosts = ['cart.shop', 'CART.shop', 'a.example.com', 'example.com:8080', '[::1]:80'];
const methods = ['GET', 'POST', 'PUT', 'DELETE'];
const ips = ['10.0.0.7', '10.0.1.9', '127.0.0.1', '203.0.113.7', '2001:db8::7', '::1'];
const blocks = [...ips, '10.0.0.0/8', '10.0.0.200/24', '0.0.0.0/0', '::/0', '2001:db8::/33', 'bad'];
const ports = ['8080', '9000', '8090', '1', 'http', '70000'];
const headerValues = ['a', 'b', 'a,b', 'A', '', 'a b'];
const snis = ['', 'www.example.com', 'cart.shop.svc'];
const issuers = ['https://iss', 'iss', ''];
const principals = ['https://iss/web', 'iss/admin', 'iss', 'https://iss/a/b', '/web'];

const some = (value: fc.Arbitrary<string>): fc.Arbitrary<string[] | undefined> =>
  fc.option(fc.array(value, { minLength: 0, maxLength: 3 }), { nil: undefined, freq: 2 });
const principal = fc.oneof(wildly(identities), identity, fc.constant('*/ns/shop/sa/web'));
const block = fc.constantFrom(...blocks);
const rarely = (value: fc.Arbitrary<string>): fc.Arbitrary<string[] | undefined> =>
  fc.option(fc.array(value, { minLength: 1, maxLength: 9 }), { nil: undefined, freq: 1 });
const never = fc.constant(undefined);

const source = fc.oneof(
  fc.record({ principals: some(principal), notPrincipals: rarely(principal) }),
  fc.record({
    namespaces: some(wildly(names)),
    notNamespaces: rarely(wildly(names)),
    ipBlocks: rarely(block),
  }),
  fc.record({
    serviceAccounts: some(fc.constantFrom('web', 'shop/web', 'x/admin', 'shop/sa/web')),
    trustDomains: rarely(wildly(domains)),
    notTrustDomains: rarely(wildly(domains)),
  }),
  fc.record({ requestPrincipals: some(wildly(principals)), notIpBlocks: rarely(block) }),
  fc.record({ notRequestPrincipals: some(wildly(principals)), remoteIpBlocks: rarely(block) }),
  fc.record({ notServiceAccounts: some(fc.constantFrom('web', 'x/admin')) }),
  never,
);
const operation = fc.oneof(
  fc.record({
    paths: some(fc.oneof(wildly(paths), fc.constantFrom(...templates))),
    methods: rarely(wildly(methods)),
  }),
  fc.record({ hosts: some(wildly(hosts)), notPaths: rarely(wildly(paths)) }),
  fc.record({ ports: some(fc.constantFrom(...ports)), notMethods: rarely(wildly(methods)) }),
  fc.record({ notPorts: rarely(fc.constantFrom(...ports)), notHosts: rarely(wildly(hosts)) }),
  never,
);
const conditionOf = (
  keys: readonly string[],
  value: fc.Arbitrary<string>,
): fc.Arbitrary<{ key: string; values?: string[]; notValues?: string[] }> =>
  fc.record({ key: fc.constantFrom(...keys), values: some(value), notValues: rarely(value) });
const when = fc.oneof(
  conditionOf(['request.headers[x-foo]', 'request.headers[X-Foo]'], wildly(headerValues)),
  conditionOf(['request.headers[:path]', 'request.headers[:method]'], wildly([...paths, 'GET'])),
  conditionOf(['request.headers[host]', 'request.headers[:scheme]'], wildly([...hosts, 'https'])),
  conditionOf(['source.ip', 'remote.ip', 'destination.ip'], block),
  conditionOf(['destination.port'], fc.constantFrom(...ports)),
  conditionOf(['connection.sni'], wildly(snis)),
  conditionOf(['source.namespace'], wildly(names)),
  conditionOf(['source.principal'], principal),
  conditionOf(['source.serviceAccount'], fc.constantFrom('web', 'x/admin')),
  conditionOf(['source.trustDomain'], wildly(domains)),
  conditionOf(['request.auth.principal'], wildly(principals)),
  conditionOf(
    ['request.auth.audiences', 'request.auth.presenter', 'request.auth.claims[groups]'],
    wildly(['web', 'admin', 'x']),
  ),
  conditionOf(['request.auth.claims[scope]', 'request.auth.claims[n][k]'], wildly(['web', 'x'])),
  conditionOf(['request.headers', 'request.nope'], fc.constant('a')),
);
const rule = fc.record({
  from: fc.option(
    fc.array(
      source.map((s) => ({ source: s })),
      { maxLength: 2 },
    ),
    { nil: undefined },
  ),
  to: fc.option(
    fc.array(
      operation.map((o) => ({ operation: o })),
      { maxLength: 2 },
    ),
    {
      nil: undefined,
    },
  ),
  when: fc.option(fc.array(when, { maxLength: 2 }), { nil: undefined, freq: 1 }),
});

const policy: fc.Arbitrary<AuthorizationPolicy> = fc
  .record({
    name: fc.constantFrom('p', 'q', 'r', 'p-2', 'pp'),
    namespace: fc.constantFrom('shop', 'shop', 'shop', 'istio-system', 'x'),
    action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY', 'AUDIT' as const),
    rules: fc.option(fc.array(rule, { maxLength: 4 }), { nil: undefined, freq: 9 }),
    dryRun: fc.constantFrom('', '', '', '', 'true'),
    labels: fc.constantFrom<Record<string, string>>({}, {}, { app: 'cart' }, { app: 'web' }),
  })
  .map(({ name, namespace, action, rules, dryRun, labels }) =>
    authorization(
      name,
      { action, rules, selector: { matchLabels: labels } },
      { namespace, annotations: dryRun === '' ? {} : { 'istio.io/dry-run': dryRun } },
    ),
  );

/** No two policies of one name: Kubernetes has no such thing. */
export const policyInput: fc.Arbitrary<PolicyInput> = fc
  .record({
    policies: fc.uniqueArray(policy, {
      maxLength: 8,
      selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
    }),
    mesh: fc.constantFrom(
      {},
      { trustDomain: 'td1' },
      { trustDomain: 'td1', trustDomainAliases: ['old-td', 'cluster.local'] },
    ),
  })
  .map(({ policies, mesh }) => ({ policies, mesh: meshConfig.parse(mesh), workload: cart }));

export const connectionFacts: fc.Arbitrary<ConnectionFacts> = fc
  .record({
    identity: fc.option(fc.oneof(identity, fc.constantFrom(...identities)), { freq: 5 }),
    second: fc.option(identity, { nil: undefined, freq: 1 }),
    sourceIp: fc.constantFrom(...ips),
    destinationIp: fc.constantFrom(...ips),
    destinationPort: fc.constantFrom(8080, 9000, 8090, 1),
    sni: fc.constantFrom(...snis),
  })
  .map(({ identity: own, second, sni, ...more }) => {
    const facts = connection(own, { ...more, sni: own === null ? '' : sni });
    return own === null || second === undefined
      ? facts
      : { ...facts, identities: [...facts.identities, `spiffe://${second}`] };
  });

const tokenFacts = fc
  .record(
    {
      iss: fc.constantFrom(...issuers),
      sub: fc.oneof(fc.constantFrom('web', 'admin', 'b', ''), fc.nat(9)),
      aud: fc.oneof(fc.constantFrom('web', 'x'), fc.array(fc.constantFrom('web', 'admin', 'x'))),
      azp: fc.constantFrom('web', 'admin'),
      groups: fc.array(fc.oneof(fc.constantFrom('web', 'x'), fc.nat(9)), { maxLength: 3 }),
      scope: fc.constantFrom('web x', 'x', '', 'admin  web'),
      n: fc.constantFrom({ k: 'web' }, { k: ['x'] }, 'web', { k: { k: 'x' } }),
    },
    { requiredKeys: [] },
  )
  .map((payload) => token(payload));

export const requestFacts: fc.Arbitrary<RequestFacts> = fc
  .record({
    method: fc.constantFrom(...methods),
    path: fc
      .tuple(fc.constantFrom(...paths), fc.constantFrom('', '', '?x=/admin', '?'))
      .map(([path, query]) => path + query),
    authority: fc.constantFrom(...hosts, ''),
    scheme: fc.constantFrom('http', 'https'),
    token: fc.option(tokenFacts),
    foo: fc.array(fc.constantFrom(...headerValues), { maxLength: 2 }),
    forwarded: fc.array(fc.constantFrom('10.0.0.7', '127.0.0.1, 203.0.113.7', 'junk', ''), {
      maxLength: 2,
    }),
  })
  .map(({ foo, forwarded, ...more }) =>
    request({ ...more, headers: { 'x-foo': foo, 'x-forwarded-for': forwarded } }),
  );
