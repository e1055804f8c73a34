// The solver against brute force: a rich grid of calls, each judged under both sets of policies.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { AuthorizationPolicy, Rule } from '#api/kinds/authorization-policy.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import { compareWorkload, type Comparison } from '#policy/compare/compare.ts';
import { type CompiledPolicies, compilePolicies, type PolicyInput } from '#policy/compile.ts';
import { decide, decideCustom } from '#policy/decide.ts';
import { judge } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { admitTransport } from '#policy/transport.ts';

import { authorization, cart, peerAuthentication } from '../making.ts';

const preferred = {
  host: 'cart.shop',
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  identities: ['spiffe://cluster.local/ns/shop/sa/web'],
};

const names = ['web', 'shop', 'x', 'ad'];
const identities = names.flatMap((ns) => names.map((sa) => `cluster.local/ns/${ns}/sa/${sa}`));
const paths = [
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/a/bb',
  '/ab',
  '/b',
  '/a/b/c',
  '/c/b',
  '//a',
  '/a/x/b',
  '/%7B',
];
const methods = ['GET', 'POST', 'PUT'];
const hosts = ['cart.shop', 'CART.shop', 'a.shop', 'b', 'cart.shop:80', ''];
const ips = ['10.0.0.1', '10.0.0.200', '10.0.1.9', '11.0.0.1', '2001:db8::7', '::1'];
const lines = [[], ['a'], ['b'], ['ab'], [''], ['a', 'b'], ['a', 'ab'], ['b', 'x'], ['x']];
const tokens: readonly (Readonly<Record<string, unknown>> | null)[] = [
  null,
  { iss: 'iss', sub: 'web' },
  { iss: 'iss', sub: 'x', aud: 'a' },
  { iss: 'iss', groups: ['a', 'b'] },
  { iss: 'iss', sub: 'web', groups: 'a' },
  { iss: 'two', sub: 'web', aud: ['a', 'b'], groups: ['ab'] },
  { iss: 'nobody', sub: 'web' },
];

function wildly(base: readonly string[]): fc.Arbitrary<string> {
  const value = fc.constantFrom(...base.filter((one) => one !== ''));
  return fc.oneof(
    { weight: 6, arbitrary: value },
    { weight: 2, arbitrary: value.chain((v) => fc.nat(v.length).map((n) => `${v.slice(0, n)}*`)) },
    { weight: 2, arbitrary: value.chain((v) => fc.nat(v.length).map((n) => `*${v.slice(n)}`)) },
    { weight: 1, arbitrary: fc.constant('*') },
  );
}

const some = (value: fc.Arbitrary<string>): fc.Arbitrary<string[] | undefined> =>
  fc.option(fc.array(value, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 });
const block = fc.constantFrom(
  ...ips,
  '10.0.0.0/24',
  '10.0.0.0/8',
  '0.0.0.0/0',
  '::/0',
  '10.0.0.128/25',
);
const path = fc.oneof(
  wildly(paths),
  fc.constantFrom('/a/{*}', '/{*}/b', '/a/{**}', '/{**}/b', '/{**}'),
);

const source = fc.oneof(
  fc.record({ principals: some(wildly(identities)), notPrincipals: some(wildly(identities)) }),
  fc.record({ namespaces: some(wildly(names)), notNamespaces: some(wildly(names)) }),
  fc.record({ serviceAccounts: some(fc.constantFrom('web', 'x/ad', 'shop/web')) }),
  fc.record({ ipBlocks: some(block), notIpBlocks: some(block) }),
  fc.record({ remoteIpBlocks: some(block), notRemoteIpBlocks: some(block) }),
  fc.record({
    requestPrincipals: some(fc.constantFrom('iss/web', '*', 'iss/*', 'two/web', '*/x')),
  }),
  fc.record({ notRequestPrincipals: some(fc.constantFrom('iss/web', '*', 'iss*')) }),
);
const operation = fc.oneof(
  fc.record({ paths: some(path), methods: some(wildly(methods)) }),
  fc.record({ paths: some(path), notPaths: some(path) }),
  fc.record({ hosts: some(wildly(hosts)), notMethods: some(wildly(methods)) }),
  fc.record({ ports: some(fc.constantFrom('8080', '9000')), notHosts: some(wildly(hosts)) }),
);
const values = wildly(['a', 'b', 'ab']);
const when = fc
  .record({
    key: fc.constantFrom(
      'request.headers[x-foo]',
      'request.headers[x-foo]',
      'request.headers[:method]',
      'request.headers[host]',
      'connection.sni',
      'request.auth.claims[groups]',
      'request.auth.audiences',
      'request.auth.claims[sub]',
    ),
    values: some(values),
    notValues: some(values),
  })
  .filter((one) => one.values !== undefined || one.notValues !== undefined);
const rule: fc.Arbitrary<Rule> = fc.record({
  from: fc.option(
    fc.array(
      source.map((s) => ({ source: s })),
      { minLength: 1, maxLength: 2 },
    ),
    { nil: undefined },
  ),
  to: fc.option(
    fc.array(
      operation.map((o) => ({ operation: o })),
      { minLength: 1, maxLength: 2 },
    ),
    { nil: undefined },
  ),
  when: fc.option(fc.array(when, { maxLength: 2 }), { nil: undefined, freq: 1 }),
});
const policy: fc.Arbitrary<AuthorizationPolicy> = fc
  .record({
    name: fc.constantFrom('p', 'q', 'r', 's'),
    action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY', 'DENY', 'CUSTOM', 'AUDIT' as const),
    provider: fc.constantFrom('asker', 'asker', 'nobody'),
    rules: fc.array(rule, { minLength: 1, maxLength: 2 }),
  })
  .map(({ name, action, provider, rules }) =>
    authorization(name, {
      action,
      rules,
      ...(action === 'CUSTOM' ? { provider: { name: provider } } : {}),
    }),
  );
const policies = fc.uniqueArray(policy, {
  maxLength: 4,
  selector: ({ metadata }) => metadata.name,
});
const authentication = fc
  .subarray([
    { issuer: 'iss', audiences: undefined as string[] | undefined },
    { issuer: 'two', audiences: ['a'] },
  ])
  .map((rules): PolicyResource => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'jwt', namespace: 'shop', labels: {}, annotations: {} },
    spec: {
      jwtRules: rules.map((one) => ({ ...one, forwardOriginalToken: false, timeout: '5s' })),
    },
  }));
const mtls = fc
  .constantFrom('STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET' as const)
  .map((mode): PolicyResource => peerAuthentication('default', { mtls: { mode } }));

const mesh = meshConfig.parse({
  extensionProviders: [{ name: 'asker', envoyExtAuthzGrpc: { service: 'asker', port: 1 } }],
});

interface Sides {
  readonly before: readonly PolicyResource[];
  readonly after: readonly PolicyResource[];
}

function named(one: AuthorizationPolicy | null): PolicyResource[] {
  return one === null ? [] : [{ ...one, metadata: { ...one.metadata, name: 'z' } }];
}

/** Most of the time nearly the same: there most mistakes would hide. */
const sides: fc.Arbitrary<Sides> = fc
  .record({
    common: policies,
    before: fc.option(policy),
    after: fc.option(policy),
    jwt: fc.tuple(authentication, authentication),
    sameJwt: fc.boolean(),
    mode: fc.tuple(mtls, mtls),
    sameMode: fc.constantFrom(true, true, true, false),
  })
  .map(({ common, before, after, jwt, sameJwt, mode, sameMode }): Sides => {
    return {
      before: [...common, ...named(before), jwt[0], mode[0]],
      after: [...common, ...named(after), sameJwt ? jwt[0] : jwt[1], sameMode ? mode[0] : mode[1]],
    };
  });

interface GridCall {
  readonly call: RecordedCall;
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly answer: boolean;
  /** TLS that is not the mesh's. */
  readonly relayed: boolean;
}

const call: fc.Arbitrary<GridCall> = fc
  .record({
    identity: fc.option(fc.constantFrom(...identities), { freq: 4 }),
    ip: fc.constantFrom(...ips),
    remote: fc.option(fc.constantFrom(...ips)),
    port: fc.constantFrom(8080, 8080, 9000, 8090, 7777),
    kind: fc.constantFrom('http', 'http', 'http', 'tcp', 'relayed' as const),
    sni: fc.constantFrom('a', 'b', 'ab', 'x', ''),
    path: fc.constantFrom(...paths),
    method: fc.constantFrom(...methods),
    host: fc.constantFrom(...hosts),
    foo: fc.constantFrom(...lines),
    claims: fc.constantFrom(...tokens),
    answer: fc.boolean(),
  })
  .map(({ identity, ip, remote, port, kind, sni, path, method, host, foo, claims, answer }) => {
    const ends = { source: { identity, ip }, destination: { ip: '10.0.0.2', port }, sni };
    const headers = [
      ...foo.map((value): [string, string] => ['x-foo', value]),
      ...(remote === null ? [] : [['x-forwarded-for', remote] as [string, string]]),
    ];
    const whole: RecordedCall =
      kind === 'http' ? { path, method, host, headers, ...ends } : { kind: 'tcp', ...ends };
    return { call: whole, claims, answer, relayed: kind === 'relayed' };
  });
const grid = fc.sample(call, { numRuns: 1_000, seed: 7 });

function inputOf(those: readonly PolicyResource[]): PolicyInput {
  return { mesh, workload: cart, policies: those };
}

async function compared({ before, after }: Sides): Promise<Comparison> {
  return compareWorkload(inputOf(before), inputOf(after), { preferred });
}

async function allowed(those: readonly PolicyResource[]): Promise<boolean[]> {
  const compiled = compilePolicies(inputOf(those));
  const verdicts: boolean[] = [];
  for (const { call, claims, answer, relayed } of grid) {
    if (relayed) {
      verdicts.push(passesOn(compiled, call, answer));
      continue;
    }
    const options = { authorizer: async () => answer, ...(claims === null ? {} : { claims }) };
    verdicts.push((await judge(compiled, call, options)).decision === 'allow');
  }
  return verdicts;
}

function passesOn(policies: CompiledPolicies, call: RecordedCall, answer: boolean): boolean {
  const { port, ip: destinationIp } = call.destination;
  const { sni = '' } = call;
  if (admitTransport(policies, port, { alpn: [], sni }).kind !== 'opaque') return false;
  const connection = {
    mtls: false,
    identities: [],
    sourceIp: call.source.ip,
    destinationIp,
    destinationPort: port,
    sni,
  };
  const custom = decideCustom(policies.tcp, connection, null);
  if (custom !== null && (custom.provider === null || !answer)) return false;
  return decide(policies.tcp, connection, null).allowed;
}

test(
  'the solver finds a difference wherever brute force finds one',
  { timeout: 120_000 },
  async () => {
    let [alike, unlike] = [0, 0];
    await fc.assert(
      fc.asyncProperty(sides, async (those) => {
        const [old, now] = [await allowed(those.before), await allowed(those.after)];
        const at = old.findIndex((verdict, i) => verdict !== now[i]);
        const { differences, unproven } = await compared(those);
        expect(unproven).toEqual([]);
        const missed = at !== -1 && differences.length === 0 ? grid[at] : null;
        expect(missed).toBeNull();
        if (differences.length === 0) alike++;
        else unlike++;
        for (const one of differences) expect(one.old.allowed).not.toBe(one.new.allowed);
      }),
      { numRuns: 150, seed: 20_261_127 },
    );
    // Neither answer is the only one that is tried.
    expect(Math.min(alike, unlike)).toBeGreaterThan(15);
  },
);
