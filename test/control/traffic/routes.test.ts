import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import type { RouteGroup } from '#api/traffic/route.ts';
import { diffList } from '#control/deltas.ts';
import { buildSnapshot } from '#control/snapshot.ts';
import { compareRanks } from '#control/traffic/attached-routes.ts';
import { Routes } from '#control/traffic/routes.ts';
import { MeshView } from '#control/view.ts';

import { httpRoute, meshOf, virtualService } from './mesh.ts';

const shop = { namespace: 'shop', labels: {} };
const route = 'route: [{destination: {host: web}}]';
const parents = 'parentRefs: [{group: "", kind: Service, name: payments}]';

function many(count: number): MeshResources {
  return meshOf(
    ...Array.from({ length: count }, (_, i) =>
      virtualService(`v${i}`, `hosts: [h${i}.example.com]\nhttp: [{${route}}]`),
    ),
    httpRoute('r', `${parents}\nrules: [{backendRefs: [{name: web, port: 80}]}]`),
  );
}

/** Keys of what a sidecar is sent. */
function sent(from: readonly RouteGroup[], to: readonly RouteGroup[]): string[] {
  return diffList(from, to, ({ key }) => key)?.set.map(({ key }) => key) ?? [];
}

test('a snapshot has routes only where there are some', () => {
  const workload = { ...shop, name: 'web', serviceAccount: 'web', ports: [] };
  const of = (mesh: MeshResources): object =>
    buildSnapshot(new MeshView(mesh, [], null), workload, 1);
  expect(of(meshOf())).not.toHaveProperty('routes');
  expect(of(many(1))).toMatchObject({
    routes: [{ hosts: ['payments.shop.svc.cluster.local'] }, {}],
  });
});

test('nothing is built again when endpoints change, and one group when one resource does', () => {
  const mesh = many(50);
  const before = new Routes(mesh, null);
  const old = before.of(shop);
  const later = new Routes({ ...mesh, services: [...mesh.services], pods: [] }, before);
  expect(later.of(shop)).toBe(old);

  const changed = meshOf(
    virtualService('v7', `hosts: [h7.example.com]\nhttp: [{timeout: 3s, ${route}}]`),
  ).virtualServices;
  const virtualServices = mesh.virtualServices.map((one) =>
    one.metadata.name === 'v7' ? (changed[0] ?? one) : one,
  );
  const now = new Routes({ ...mesh, virtualServices }, later).of(shop);
  expect(now.filter((group, i) => group !== old[i]).map(({ key }) => key)).toEqual([
    'VirtualService/shop/v7',
  ]);
  expect(sent(old, now)).toEqual(['VirtualService/shop/v7']);
});

test('a resource that is read again and says the same leaves everything as it is', () => {
  const before = new Routes(many(5), null);
  const old = before.of(shop);
  const groups = new Routes(many(5), before).of(shop);
  expect(groups.filter((group) => group.key.startsWith('Virtual'))).toEqual(
    old.filter((group) => group.key.startsWith('Virtual')),
  );
  expect(groups.every((group, i) => group === old[i] || group.key.startsWith('HTTPRoute'))).toBe(
    true,
  );
  expect(sent(old, groups)).toEqual([]);
});

test('a backend that appears changes the groups of its routes alone', () => {
  const text = httpRoute('r', `${parents}\nrules: [{backendRefs: [{name: late, port: 80}]}]`);
  const mesh = meshOf(text, virtualService('v', `hosts: [a.b]\nhttp: [{${route}}]`));
  const before = new Routes(mesh, null);
  const [late] = meshOf(
    'apiVersion: v1\nkind: Service\nmetadata: {name: late, namespace: shop}\nspec: {ports: [{port: 80}]}',
  ).services.slice(-1);
  const services = late === undefined ? [] : [...mesh.services, late];
  const after = new Routes({ ...mesh, services }, before);
  expect(sent(before.of(shop), after.of(shop))).toEqual([
    'HTTPRoute/shop/payments.shop.svc.cluster.local',
  ]);
  expect(JSON.stringify(after.of(shop))).not.toContain('"invalid"');
});

test('workloads share their list until a rule tells them apart', () => {
  const routes = new Routes(many(2), null);
  expect(routes.of({ namespace: 'shop', labels: { a: 'b' } })).toBe(routes.of(shop));
  const told = new Routes(
    meshOf(
      virtualService('v', `hosts: [a.b]\nhttp: [{match: [{sourceLabels: {a: b}}], ${route}}]`),
      virtualService('w', `hosts: [c.d]\nhttp: [{${route}}]`),
    ),
    null,
  );
  const marked = told.of({ namespace: 'shop', labels: { a: 'b', hash: '1' } });
  expect(marked).toHaveLength(2);
  expect(told.of({ namespace: 'shop', labels: { a: 'b', hash: '2' } })).toBe(marked);
  expect(told.of(shop)).toHaveLength(1);
  expect(told.of(shop)[0]).toBe(marked[1]);
});

test('the order of ranks is total and transitive', () => {
  const rank = fc.array(fc.nat({ max: 2 }), { maxLength: 4 });
  fc.assert(
    fc.property(rank, rank, rank, (a, b, c) => {
      expect(Math.sign(compareRanks(a, b))).toBe(-Math.sign(compareRanks(b, a)) + 0);
      const inOrder = compareRanks(a, b) <= 0 && compareRanks(b, c) <= 0;
      expect(inOrder && compareRanks(a, c) > 0).toBe(false);
    }),
  );
});

const name = fc.constantFrom('web', 'payments', 'a', 'a.b', '*.b', '*', 'ledger.bank', '');
const text = fc.oneof(
  fc.record({ exact: fc.constantFrom('/', '/a', '/a/b') }),
  fc.record({ prefix: fc.constantFrom('/', '/a', '/a/b') }),
  fc.record({ regex: fc.constantFrom('*', '/a.*', '[') }),
  fc.constant({}),
);
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });
const rule = fc.record({
  name: maybe(fc.constantFrom('x', 'y')),
  match: maybe(
    fc.array(
      fc.record({
        uri: maybe(text),
        headers: maybe(fc.dictionary(fc.constantFrom('x', 'Y'), text)),
        port: maybe(fc.constantFrom(0, 80, 8080)),
        sourceLabels: maybe(fc.constantFrom({}, { a: 'b' }, { a: 'c' })),
        sourceNamespace: maybe(fc.constantFrom('shop', 'bank')),
        gateways: maybe(fc.constantFrom(['mesh'], ['other'])),
      }),
      { maxLength: 3 },
    ),
  ),
  route: maybe(
    fc.array(
      fc.record({
        destination: maybe(fc.record({ host: name })),
        weight: maybe(fc.integer({ min: -1, max: 3 })),
      }),
      { maxLength: 3 },
    ),
  ),
  redirect: maybe(fc.record({ uri: fc.constantFrom('', '/x') })),
  delegate: maybe(fc.record({ name: fc.constantFrom('v0', 'v1', 'v2') })),
  timeout: maybe(fc.constantFrom('1s', '', 'x', '0s')),
  retries: maybe(
    fc.record({
      attempts: fc.integer({ min: -1, max: 3 }),
      retryOn: maybe(fc.constantFrom('', '503', '5xx,', 'x')),
    }),
  ),
});
const spec = fc.record({
  hosts: fc.array(name, { maxLength: 3 }),
  gateways: maybe(fc.constantFrom([], ['mesh'], ['other'])),
  exportTo: maybe(fc.constantFrom([], ['.'], ['*'], ['bank'])),
  http: fc.array(rule, { maxLength: 4 }),
});
const gatewaySpec = fc.record({
  parentRefs: fc.array(
    fc.record({
      group: fc.constantFrom('', 'networking.istio.io'),
      kind: fc.constantFrom('Service', 'ServiceEntry'),
      name: fc.constantFrom('web', 'payments', 'ledger'),
      namespace: maybe(fc.constantFrom('shop', 'bank')),
      port: maybe(fc.constantFrom(80, 8080)),
    }),
    { maxLength: 3 },
  ),
  rules: fc.array(
    fc.record({
      matches: maybe(
        fc.array(
          fc.record({
            path: maybe(
              fc.record({
                type: fc.constantFrom('Exact', 'PathPrefix', 'RegularExpression'),
                value: fc.constantFrom('/', '/a', '/a/', '['),
              }),
            ),
            method: maybe(fc.constantFrom('GET', 'PUT')),
          }),
          { maxLength: 3 },
        ),
      ),
      backendRefs: maybe(
        fc.array(
          fc.record({
            name: fc.constantFrom('web', 'none'),
            port: fc.constantFrom(80, 81),
            weight: fc.nat({ max: 2 }),
          }),
          { maxLength: 2 },
        ),
      ),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

/** Also what validation refuses: nobody may count on it. */
function parsed(specs: readonly object[], routes: readonly object[]): MeshResources {
  const mesh = meshOf();
  const documents = [
    ...specs.map((one, i) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: `v${i}`, namespace: i % 2 === 0 ? 'shop' : 'bank' },
      spec: one,
    })),
    ...routes.map((one, i) => ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: `r${i}`, namespace: i % 2 === 0 ? 'shop' : 'bank' },
      spec: one,
    })),
  ];
  const read = documents.flatMap((one) => loadText(JSON.stringify(one), 'x.yaml').resources);
  const raw = specs.map((one, i) => ({
    ...documents[i],
    metadata: { name: `v${i}`, namespace: 'shop', labels: {}, annotations: {} },
    spec: { gateways: [], exportTo: [], tls: [], tcp: [], ...JSON.parse(JSON.stringify(one)) },
  })) as unknown as MeshResources['virtualServices'];
  const { httpRoutes, virtualServices } = collectMesh(read);
  return { ...mesh, httpRoutes, virtualServices: [...raw, ...virtualServices] };
}

test('whatever is written, compiling never throws, and what comes out of it is in order', () => {
  fc.assert(
    fc.property(
      fc.array(spec, { maxLength: 4 }),
      fc.array(gatewaySpec, { maxLength: 3 }),
      fc.constantFrom('shop', 'bank'),
      (specs, routes, namespace) => {
        const mesh = parsed(specs, routes);
        const compiled = new Routes(mesh, null);
        const groups = compiled.of({ namespace, labels: { a: 'b' } });
        const keys = groups.map(({ key }) => key);
        expect(new Set(keys).size).toBe(keys.length);
        expect(groups.every(({ hosts }) => hosts.length > 0)).toBe(true);
        const lengths = groups.map(({ hosts: [host = ''] }) =>
          host.startsWith('*') ? host.length : 1000,
        );
        expect(lengths).toEqual(lengths.toSorted((a, b) => b - a));
        // The same again, and nothing to send.
        const again = new Routes({ ...mesh }, compiled).of({ namespace, labels: { a: 'b' } });
        expect(again).toBe(groups);
      },
    ),
    { numRuns: 300 },
  );
});
