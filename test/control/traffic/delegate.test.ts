import { expect, test } from 'vitest';

import type { HttpRoute } from '#api/traffic/route.ts';

import { groupsOf, httpOf, meshOf, payments, virtualService } from './mesh.ts';

const route = 'route: [{destination: {host: web}}]';

function routesOf(root: string, delegate: string, more = ''): readonly HttpRoute[] {
  const texts = [
    virtualService('root', `hosts: [payments]\nhttp:\n${root}`),
    virtualService('part', `${more}http:\n${delegate}`),
  ];
  return httpOf(groupsOf(meshOf(...texts)), payments);
}

test('rules of a delegate stand where the root names it, with what the root says', () => {
  const routes = routesOf(
    `- name: r
  match: [{uri: {prefix: /a}, headers: {x: {exact: "1"}}, name: m}]
  timeout: 5s
  headers: {request: {set: {a: root}}}
  delegate: {name: part}
- name: rest
  ${route}`,
    `- name: d
  match: [{uri: {prefix: /a/b}, name: k}, {uri: {exact: /a/c}}]
  headers: {request: {set: {b: own}}}
  ${route}
- ${route}`,
  );
  expect(routes).toMatchObject([
    {
      name: 'r-d',
      source: 'VirtualService shop/part',
      path: 'spec.http[0]',
      origin: { file: 'mesh.yaml' },
      timeoutMs: 5000,
      headers: { request: { set: { b: 'own' } } },
      matches: [
        { name: 'm-k', path: { kind: 'prefix', value: '/a/b' }, headers: [{ name: 'x' }] },
        { name: 'm', path: { kind: 'exact', value: '/a/c' }, headers: [{ name: 'x' }] },
      ],
    },
    { name: 'r', path: 'spec.http[1]', matches: [{ path: { value: '/a' } }] },
    { name: 'rest', source: 'VirtualService shop/root', path: 'spec.http[1]' },
  ]);
  expect(routes[2]).not.toHaveProperty('origin');
});

test.each([
  ['another prefix', 'uri: {prefix: /a}', 'uri: {prefix: /b}'],
  ['a wider prefix', 'uri: {prefix: /a/b}', 'uri: {prefix: /a}'],
  ['a prefix of an exact path', 'uri: {exact: /a}', 'uri: {prefix: /a}'],
  ['another exact path', 'uri: {exact: /a}', 'uri: {exact: /b}'],
  ['expressions', 'uri: {regex: /a.*}', 'uri: {regex: /a.*}'],
  ['an expression under a prefix', 'uri: {prefix: /a}', 'uri: {regex: /a.*}'],
  ['another method', 'method: {exact: GET}', 'method: {exact: PUT}'],
  ['another header', 'headers: {x: {exact: "1"}}', 'headers: {x: {exact: "2"}}'],
  ['another port', 'port: 80', 'port: 81'],
  ['another label', 'sourceLabels: {a: b}', 'sourceLabels: {a: c}'],
  ['another namespace', 'sourceNamespace: shop', 'sourceNamespace: bank'],
  ['another case', 'ignoreUriCase: true', 'port: 80'],
  ['another gateway', 'gateways: [mesh]', 'gateways: [mesh, other]'],
])('a rule of a delegate with %s is left out', (_, root, own) => {
  const routes = routesOf(
    `- match: [{${root}}]\n  delegate: {name: part}`,
    `- match: [{${own}}]\n  ${route}`,
  );
  expect(routes).toEqual([]);
});

test('a delegate that is not there, is not exported or has hosts leaves its rule out', () => {
  const root = `- match: [{uri: {prefix: /a}}]\n  delegate: {name: part}\n- name: rest\n  ${route}`;
  const rest = [expect.objectContaining({ name: 'rest' })];
  expect(routesOf(root.replace('part', 'absent'), `- ${route}`)).toEqual(rest);
  expect(routesOf(root, `- ${route}`, 'exportTo: [bank]\n')).toEqual(rest);
  expect(routesOf(root, `- ${route}`, 'hosts: [x.y]\n')).toEqual(rest);
  expect(routesOf(root, `- ${route}`, 'exportTo: ["."]\n')).toHaveLength(2);
});

test('a host of a delegate is short for one of its own namespace', () => {
  const part = virtualService('part', `http: [{route: [{destination: {host: ledger}}]}]`).replace(
    'namespace: shop',
    'namespace: bank',
  );
  const root = virtualService(
    'root',
    'hosts: [payments]\nhttp: [{delegate: {name: part, namespace: bank}, mirror: {host: web}}]',
  );
  const [only] = httpOf(groupsOf(meshOf(part, root)), payments);
  expect(only?.action).toMatchObject({
    destinations: [{ destination: { host: 'ledger.bank.svc.cluster.local' } }],
  });
  expect(only?.mirrors).toMatchObject([{ destination: { host: 'web.shop.svc.cluster.local' } }]);
});
