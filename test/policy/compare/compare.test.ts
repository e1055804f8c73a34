// What two sets of policies differ about, case by case; and what is not claimed to be proven.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Rule } from '#api/kinds/authorization-policy.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import type { JwtRule } from '#api/kinds/request-authentication.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import { type Comparison, type CompareOptions, compareWorkload } from '#policy/compare/compare.ts';

import { authorization, cart, peerAuthentication } from '../making.ts';

const preferred = {
  host: 'cart.shop',
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  identities: ['spiffe://cluster.local/ns/shop/sa/web'],
};

type Mesh = Readonly<Record<string, unknown>>;

function compared(
  before: readonly PolicyResource[],
  after: readonly PolicyResource[],
  options: Partial<CompareOptions> & { readonly meshes?: readonly [Mesh, Mesh] } = {},
): Promise<Comparison> {
  const { meshes = [{}, {}], ...more } = options;
  const input = (policies: readonly PolicyResource[], mesh: Mesh) => ({
    mesh: meshConfig.parse(mesh),
    workload: cart,
    policies,
  });
  return compareWorkload(input(before, meshes[0]), input(after, meshes[1]), { preferred, ...more });
}

function allow(...rules: Rule[]): PolicyResource {
  return authorization('allow', { rules });
}

function deny(...rules: Rule[]): PolicyResource {
  return authorization('deny', { action: 'DENY', rules });
}

const to = (operation: NonNullable<NonNullable<Rule['to']>[number]['operation']>): Rule => ({
  to: [{ operation }],
});
const from = (source: NonNullable<NonNullable<Rule['from']>[number]['source']>): Rule => ({
  from: [{ source }],
});
const when = (key: string, values?: string[], notValues?: string[]): Rule => ({
  when: [{ key, values, notValues }],
});

function jwt(...rules: Partial<JwtRule>[]): PolicyResource {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'jwt', namespace: 'shop', labels: {}, annotations: {} },
    spec: {
      jwtRules: rules.map((one) => ({
        issuer: 'iss',
        forwardOriginalToken: false,
        timeout: '5s',
        ...one,
      })),
    },
  };
}

test('the same in other words differs in no call', async () => {
  const before = [allow({ ...from({ namespaces: ['a', 'b'] }), ...to({ paths: ['/x', '/x/*'] }) })];
  const after = [
    authorization('one', {
      rules: [{ ...from({ namespaces: ['b'] }), ...to({ paths: ['/x/*', '/x'] }) }],
    }),
    authorization('two', {
      rules: [
        { ...from({ namespaces: ['a'] }), ...to({ paths: ['/x'] }) },
        { ...from({ namespaces: ['a'] }), ...to({ paths: ['/x/*'] }) },
        { ...from({ namespaces: ['a'] }), ...to({ paths: ['/x/y*'] }) },
      ],
    }),
  ];
  expect(await compared(before, after)).toMatchObject({ differences: [], unproven: [] });
});

test('a difference has an example, both deciders, and is found in the one spot where it is', async () => {
  const before = [allow(to({ paths: ['/x/*'] }))];
  const after = [
    allow(to({ paths: ['/x/*'] })),
    deny(to({ paths: ['*/secret'], notMethods: ['GET'] })),
  ];
  const { differences, unproven } = await compared(before, after);
  expect(unproven).toEqual([]);
  const http = differences.find(({ example }) => example.carriage.kind === 'http');
  expect(http).toMatchObject({
    example: { path: '/x/secret', method: 'HEAD' },
    old: { allowed: true, policy: 'shop/allow', rule: 0 },
    new: { allowed: false, policy: 'shop/deny', rule: 0, decision: 'deny' },
  });
});

test('what a TCP port loses to a DENY of paths is a difference', async () => {
  const { differences } = await compared([], [deny(to({ paths: ['/admin'] }))]);
  expect(differences.map(({ example }) => example.carriage.kind)).toContain('http');
  const tcp = await compared(
    [deny(to({ paths: ['/admin'], ports: ['8080'] }))],
    [deny(to({ paths: ['/admin'] }))],
  );
  expect(tcp.differences.map(({ example }) => example.carriage)).toContainEqual(
    expect.objectContaining({ port: 9000, kind: 'tcp' }) as object,
  );
});

test.each<[string, readonly PolicyResource[], readonly PolicyResource[], object]>([
  [
    'two lines of one header',
    [allow(when('request.headers[x-a]', ['one']))],
    [allow(when('request.headers[x-a]', ['one'], ['two']))],
    { headers: { 'x-a': ['one', 'two'] } },
  ],
  [
    'case of a host',
    [allow(to({ hosts: ['a.b'] }))],
    [allow(when('request.headers[:authority]', ['a.b']))],
    { host: expect.stringMatching(/^a\.b$/i) as string },
  ],
  [
    'an address at the end of a block',
    [allow(from({ ipBlocks: ['10.0.0.0/24'] }))],
    [allow(from({ ipBlocks: ['10.0.0.0/24'], notIpBlocks: ['10.0.0.255'] }))],
    { sourceIp: '10.0.0.255' },
  ],
  [
    'a server name',
    [allow(when('connection.sni', ['*.a']))],
    [allow(when('connection.sni', ['b.a']))],
    { sni: expect.stringMatching(/\.a$/) as string },
  ],
  [
    'an empty path segment that a template does not take',
    [allow(to({ paths: ['/a/*'] }))],
    [allow(to({ paths: ['/a/{*}', '/a/{*}/{**}'] }))],
    { path: '/a/' },
  ],
])('a difference of %s is found', async (_, before, after, example) => {
  const { differences, unproven } = await compared(before, after);
  expect(unproven).toEqual([]);
  expect(differences[0]?.example).toMatchObject(example);
});

test('tokens: issuer, audience, subject and claims are told apart', async () => {
  const one = [jwt({ audiences: ['a'] }), allow(from({ requestPrincipals: ['iss/*'] }))];
  const two = [jwt({}), allow(from({ requestPrincipals: ['iss/*'] }))];
  const wider = await compared(one, two);
  expect(wider.differences[0]).toMatchObject({
    old: { allowed: false },
    new: { allowed: true },
    example: { claims: { iss: 'iss' } },
  });
  const narrower = await compared(two, [
    jwt({}),
    allow(when('request.auth.claims[groups]', ['x'], ['y'])),
  ]);
  expect(narrower.differences.map(({ new: is }) => is.allowed)).toEqual(
    expect.arrayContaining([true, false]),
  );
  const strangers = await compared([allow({})], [jwt({}), allow({})]);
  expect(strangers.differences).toMatchObject([{ new: { decision: 'unauthenticated' } }]);
});

test('an authorizer may answer either way', async () => {
  const mesh = {
    extensionProviders: [{ name: 'ask', envoyExtAuthzGrpc: { service: 'ask', port: 1 } }],
  };
  const custom = authorization('custom', {
    action: 'CUSTOM',
    provider: { name: 'ask' },
    rules: [to({ paths: ['/x'] })],
  });
  const { differences, unproven } = await compared([], [custom], { meshes: [mesh, mesh] });
  expect(unproven).toEqual([]);
  expect(differences[0]?.example).toMatchObject({ path: '/x', authorizers: { ask: false } });
  expect((await compared([custom], [custom], { meshes: [mesh, mesh] })).differences).toEqual([]);
});

test('mutual TLS and trust domains count', async () => {
  const strict = peerAuthentication('default', { mtls: { mode: 'STRICT' } });
  const { differences } = await compared([], [strict]);
  expect(differences).toMatchObject([{ example: { identity: null }, new: { decision: 'closed' } }]);
  const old = await compared([], [], { meshes: [{ trustDomainAliases: ['old'] }, {}] });
  expect(old.differences).toMatchObject([
    { example: { identity: expect.stringMatching('spiffe://old/') as string } },
  ]);
});

test('AUDIT and policies under trial change nothing', async () => {
  const after = [
    authorization('audit', { action: 'AUDIT', rules: [{}] }),
    authorization(
      'trial',
      { action: 'DENY', rules: [{}] },
      { annotations: { 'istio.io/dry-run': 'true' } },
    ),
  ];
  expect(await compared([], after)).toMatchObject({ differences: [], unproven: [] });
});

test.each<[string, RegExp, readonly PolicyResource[], readonly PolicyResource[], [Mesh, Mesh]?]>([
  [
    'a field that is bound to others',
    /:path/,
    [allow(when('request.headers[:path]', ['/a?c']))],
    [allow(when('request.headers[:path]', ['/a?b']))],
  ],
  [
    'a header that tokens come in',
    /authorization/,
    [jwt({})],
    [jwt({ forwardOriginalToken: true }), deny(when('request.headers[authorization]', ['x']))],
  ],
  ['other keys', /by other keys/, [jwt({ jwks: '{"keys":[]}' })], [jwt({ jwks: '{"keys": []}' })]],
  [
    'another normalization',
    /pathNormalization/,
    [],
    [],
    [{}, { pathNormalization: { normalization: 'NONE' } }],
  ],
])('with %s nothing is proven', async (_, reason, before, after, meshes) => {
  const { unproven } = await compared(before, after, meshes === undefined ? {} : { meshes });
  expect(unproven.join()).toMatch(reason);
});

test('beyond the bound nothing is proven', async () => {
  const rules = Array.from({ length: 6 }, (_, i) => to({ paths: [`/${i}`], hosts: [`h${i}`] }));
  const { unproven } = await compared([deny(...rules)], [deny(...rules.slice(1))], {
    combinationsMax: 2,
  });
  expect(unproven).toEqual(['more than 2 combinations of values']);
});

test('whatever is cut in two, written twice or in another order differs in no call', async () => {
  const value = fc.constantFrom('/a', '/a/*', '*/b', '/a/{*}', '/c');
  const rule = fc.record({
    paths: fc.array(value, { minLength: 1, maxLength: 3 }),
    methods: fc.array(fc.constantFrom('GET', 'POST', 'P*'), { minLength: 1, maxLength: 2 }),
    namespaces: fc.array(fc.constantFrom('a', 'b*', '*c'), { minLength: 1, maxLength: 2 }),
    action: fc.constantFrom('ALLOW', 'DENY' as const),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(rule, { minLength: 1, maxLength: 4 }), async (rules) => {
      const before = rules.map(({ action, paths, methods, namespaces }, i) =>
        authorization(`p${i}`, {
          action,
          rules: [{ ...from({ namespaces }), ...to({ paths, methods }) }],
        }),
      );
      const after = rules.toReversed().flatMap(({ action, paths, methods, namespaces }, i) =>
        paths.map((path, k) =>
          authorization(`q${i}-${k}`, {
            action,
            rules: namespaces.flatMap((namespace) => [
              { ...from({ namespaces: [namespace] }), ...to({ paths: [path, path], methods }) },
            ]),
          }),
        ),
      );
      expect(await compared(before, after)).toMatchObject({ differences: [], unproven: [] });
    }),
    { numRuns: 100, seed: 5 },
  );
});
