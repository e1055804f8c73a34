import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { buildSnapshot } from '#control/snapshot.ts';
import { MeshView } from '#control/view.ts';

import { bank, document, meshOf, snapshot, web } from './meshes.ts';

const sidecar = (name: string, spec: string): string => document('Sidecar', name, spec);

function seen(
  documents: readonly string[],
  namespace = 'shop',
  labels: Readonly<Record<string, string>> = {},
): string[] {
  const { services } = snapshot(meshOf(...documents), namespace, labels);
  return services.map(
    (one) => `${one.namespace}/${one.name}:${one.ports.map(({ port }) => port).join(',')}`,
  );
}

const all = ['money/bank:80', 'shop/web:80,90'];

test.each([
  ['["*/*"]', all],
  ['["./*"]', ['shop/web:80,90']],
  ['["money/*"]', ['money/bank:80']],
  ['["~/*"]', []],
  ['["*/bank.money.svc.cluster.local"]', ['money/bank:80']],
  ['["./bank.money.svc.cluster.local"]', []],
  ['["*/*.money.svc.cluster.local"]', ['money/bank:80']],
  ['["./*", "money/*"]', all],
])('egress hosts %s', (hosts, expected) => {
  expect(seen([sidecar('shop/s', `{ egress: [{ hosts: ${hosts} }] }`)])).toEqual(expected);
});

test('an egress with a port shows that port of services alone', () => {
  const one = sidecar(
    'shop/s',
    '{ egress: [{ port: { number: 90, protocol: GRPC }, hosts: ["*/*"] }] }',
  );
  expect(seen([one])).toEqual(['shop/web:90']);
  const rest = sidecar(
    'shop/s',
    '{ egress: [{ port: { number: 90, protocol: GRPC }, hosts: ["*/*"] }, { hosts: [money/*] }] }',
  );
  expect(seen([rest])).toEqual(['money/bank:80', 'shop/web:90']);
});

const seeing = (name: string, hosts: string, more = ''): string =>
  sidecar(name, `{ ${more} egress: [{ hosts: ["${hosts}"] }] }`);

test('a selector comes before the namespace, that before the root namespace; the oldest of each', () => {
  const selecting = seeing('shop/a', './*', 'workloadSelector: { labels: { app: web } },');
  const general = seeing('shop/b', 'money/*');
  const later = seeing('shop/c', '*/*');
  const root = seeing('istio-system/d', '~/*');
  const documents = [root, later.replace('shop/c', 'shop/z'), selecting];
  expect(seen(documents, 'shop', { app: 'web' })).toEqual(['shop/web:80,90']);
  expect(seen([root, general, later, selecting], 'shop', { app: 'x' })).toEqual(['money/bank:80']);
  expect(seen([root, general], 'money')).toEqual([]);
});

test('"." of the root namespace means the namespace of the caller', () => {
  const root = sidecar('istio-system/d', '{ egress: [{ hosts: ["./*"] }] }');
  expect(seen([root], 'shop')).toEqual(['shop/web:80,90']);
  expect(seen([root], 'money')).toEqual(['money/bank:80']);
});

test.each([
  [
    'the port of a destination',
    'hosts: [bank.shop], http: [{ route: [DESTINATION] }]',
    'money/bank:80',
  ],
  [
    'a mirror',
    'hosts: [x.shop], http: [{ route: [WEB], mirror: { host: BANK } }]',
    'money/bank:80',
  ],
  ['connections', 'hosts: [x.shop], tcp: [{ route: [DESTINATION] }]', 'money/bank:80'],
  ['a port that is not there', 'hosts: [x.shop], http: [{ route: [PORT] }]', null],
  ['no route that is seen', 'hosts: [y.money], http: [{ route: [DESTINATION] }]', null],
])('what routes lead to is seen too, by %s', (what, spec, added) => {
  const written = spec
    .replace('DESTINATION', '{ destination: { host: BANK } }')
    .replace('PORT', '{ destination: { host: BANK, port: { number: 81 } } }')
    .replace('WEB', '{ destination: { host: web } }')
    .replaceAll('BANK', bank);
  const namespace = what === 'no route that is seen' ? 'money' : 'shop';
  const route = document('VirtualService', `${namespace}/v`, `{ ${written} }`);
  const own = sidecar('shop/s', '{ egress: [{ hosts: ["./*"] }] }');
  expect(seen([own, route])).toEqual(['shop/web:80,90', ...(added === null ? [] : [added])]);
});

test('of what only routes lead to, the ports that they name are seen; what is seen already gets no more', () => {
  const route = document(
    'VirtualService',
    'money/v',
    `{ hosts: [x.money], http: [{ route: [{ destination: { host: ${web}, port: { number: 90 } } }] }] }`,
  );
  const own = sidecar('money/s', '{ egress: [{ hosts: ["./*"] }] }');
  expect(seen([own, route], 'money')).toEqual(['money/bank:80', 'shop/web:90']);
  const some = '{ egress: [{ port: { number: 80, protocol: HTTP }, hosts: ["*/*"] }] }';
  expect(seen([sidecar('money/s', some), route], 'money')).toEqual([
    'money/bank:80',
    'shop/web:80',
  ]);
  expect(seen([sidecar('money/s', '{ egress: [{ hosts: ["~/*"] }] }'), route], 'money')).toEqual(
    [],
  );
});

test('callers of one scope share what routes add to it', () => {
  const route = document(
    'VirtualService',
    'shop/v',
    `{ hosts: [x.shop], http: [{ route: [{ destination: { host: ${bank} } }] }] }`,
  );
  const mesh = meshOf(sidecar('shop/s', '{ egress: [{ hosts: ["./*"] }] }'), route);
  const view = new MeshView(mesh, [], null);
  const [one, other] = ['a', 'b'].map((name) =>
    buildSnapshot(
      view,
      { namespace: 'shop', name, labels: {}, serviceAccount: 'default', ports: [] },
      1,
    ),
  );
  expect(one?.services).toHaveLength(2);
  expect(other?.services).toBe(one?.services);
});

test('a Sidecar without egress shows everything', () => {
  expect(seen([sidecar('shop/s', '{ outboundTrafficPolicy: {} }')])).toEqual(all);
});

test('an authorizer of the mesh is always seen', () => {
  const config = `kind: MeshConfig
spec: { extensionProviders: [{ name: a, envoyExtAuthzHttp: { service: money/bank.money.svc.cluster.local, port: 80 } }] }`;
  const none = sidecar('shop/s', '{ egress: [{ hosts: ["~/*"] }] }');
  expect(seen([config, none])).toEqual(['money/bank:80']);
});

const outboundOf = (...documents: string[]): unknown =>
  snapshot(meshOf(...documents), 'shop').scope;

test('what becomes of other calls: the Sidecar says it, else the mesh, else nobody', () => {
  const config = 'kind: MeshConfig\nspec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }';
  const open = sidecar('shop/s', '{ outboundTrafficPolicy: { mode: ALLOW_ANY } }');
  const closed = sidecar('shop/s', '{ outboundTrafficPolicy: {} }');
  const quiet = sidecar('shop/s', '{ egress: [{ hosts: ["*/*"] }] }');
  expect(outboundOf()).toBeUndefined();
  expect(outboundOf(config)).toEqual({ mode: 'REGISTRY_ONLY', source: 'MeshConfig' });
  expect(outboundOf(config, quiet)).toEqual({ mode: 'REGISTRY_ONLY', source: 'MeshConfig' });
  expect(outboundOf(config, open)).toEqual({ mode: 'ALLOW_ANY', source: 'Sidecar shop/s' });
  expect(outboundOf(closed)).toEqual({ mode: 'REGISTRY_ONLY', source: 'Sidecar shop/s' });
});

test('destinations of what is not seen are not sent', () => {
  const rule = document('DestinationRule', 'money/r', '{ host: bank, trafficPolicy: { tls: {} } }');
  const own = sidecar('shop/s', '{ egress: [{ hosts: ["./*"] }] }');
  expect(snapshot(meshOf(rule), 'shop').destinations).toHaveLength(1);
  expect('destinations' in snapshot(meshOf(rule, own), 'shop')).toBe(false);
});

test('callers of one scope share their list, and services that are whole are the same objects', () => {
  const own = sidecar('shop/s', '{ egress: [{ hosts: ["./*"] }] }');
  const view = new MeshView(meshOf(own), [], null);
  const caller = { namespace: 'shop', labels: {}, serviceAccount: 'default', ports: [] };
  const one = buildSnapshot(view, { ...caller, name: 'one' }, 1);
  const two = buildSnapshot(view, { ...caller, name: 'two' }, 1);
  expect(one.services).toBe(two.services);
  expect(view.services('shop')).toContain(one.services[0]);
});

test('a scope shows nothing that is not there without it', () => {
  const host = fc.constantFrom('./*', '*/*', 'money/*', '~/*', 'shop/web.shop.svc.cluster.local');
  const listener = fc.record({
    hosts: fc.array(host, { minLength: 1, maxLength: 3 }),
    port: fc.constantFrom(0, 80, 90),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(listener, { selector: ({ port }) => port, minLength: 1 }),
      (list) => {
        const egress = list
          .toSorted((a, b) => b.port - a.port)
          .map(({ hosts, port }) => ({ hosts, ...(port > 0 && { port: { number: port } }) }));
        const whole = snapshot(meshOf(), 'shop').services;
        const cut = snapshot(
          meshOf(sidecar('shop/s', JSON.stringify({ egress }))),
          'shop',
        ).services;
        for (const service of cut) {
          const same = whole.find(({ name }) => name === service.name);
          expect(same?.hosts).toEqual(service.hosts);
          expect(same?.ports).toEqual(expect.arrayContaining([...service.ports]));
        }
      },
    ),
    { numRuns: 100 },
  );
});
