import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import { checkSubsets } from '#policy/lint/routes.ts';

import { lint, mesh } from './mesh.ts';

/** A VirtualService of bar. The mesh has the Services foo/srv and bar/web. */
const vs = (spec: string, name = 'v'): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: bar}\nspec: ${spec}`;
const route = 'route: [{destination: {host: web}}]';
const httpRoute = (spec: string): string =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: bar}\nspec: ${spec}`;
const parent = 'parentRefs: [{group: "", kind: Service, name: web}]';

/** Code and path's place of what is said. */
function said(...documents: string[]): string[] {
  return lint(mesh, ...documents).map(({ code, message }) => `${code}: ${message}`);
}

test('a route that is as it should be is left alone', () => {
  expect(said(vs(`{hosts: [web], http: [{${route}}]}`))).toEqual([]);
  expect(said(httpRoute(`{${parent}, rules: [{backendRefs: [{name: web, port: 8080}]}]}`))).toEqual(
    [],
  );
});

test.each([
  [
    'a host that no service has',
    '{hosts: [web], http: [{route: [{destination: {host: wbe}}]}]}',
    /^host-unknown: .*wbe\.bar\.svc/,
  ],
  [
    'a mirror that is not there',
    `{hosts: [web], http: [{${route}, mirror: {host: srv}}]}`,
    /^host-unknown: .*srv\.bar/,
  ],
  [
    'a destination outside',
    '{hosts: [web], tcp: [{route: [{destination: {host: a.example.com}}]}]}',
    /^host-unknown/,
  ],
  [
    'weights that are nearly 100',
    '{hosts: [web], http: [{route: [{destination: {host: web}, weight: 90}, {destination: {host: srv.foo.svc.cluster.local}, weight: 9}]}]}',
    /^weights-odd: the weights are 99/,
  ],
  [
    'a weight that was forgotten',
    '{hosts: [web], http: [{route: [{destination: {host: web}}, {destination: {host: srv.foo.svc.cluster.local}, weight: 9}]}]}',
    /^weight-missing/,
  ],
  [
    'only gateways',
    `{hosts: [a.b], gateways: [ingress], http: [{${route}}]}`,
    /^gateways-without-mesh: it is for ingress/,
  ],
  [
    'a delegate that is not there',
    '{hosts: [web], http: [{delegate: {name: d}}]}',
    /^delegate-unknown: there is no VirtualService bar\/d/,
  ],
  [
    'a rule behind one that takes all',
    `{hosts: [web], http: [{${route}}, {match: [{uri: {prefix: /a}}], ${route}}]}`,
    /^rule-unreachable: nothing reaches spec\.http\[1\]:/,
  ],
  [
    'a match behind a shorter prefix',
    `{hosts: [web], http: [{match: [{uri: {prefix: /a}}], ${route}}, {match: [{uri: {exact: /a/b}, method: {exact: GET}}, {uri: {prefix: /c}}], ${route}}]}`,
    /^rule-unreachable: nothing reaches spec\.http\[1\]\.match\[0\]:/,
  ],
  [
    'a tcp rule behind one that takes all',
    `{hosts: [web], tcp: [{${route}}, {match: [{port: 80}], ${route}}]}`,
    /^rule-unreachable: nothing reaches spec\.tcp\[1\]/,
  ],
])('%s', (_, spec, expected) => {
  expect(said(vs(spec))).toEqual([expect.stringMatching(expected)]);
});

test.each([
  ['another header', 'headers: {x: {exact: a}}', 'uri: {prefix: /a}'],
  ['case', 'uri: {prefix: /a}', 'uri: {prefix: /a}, ignoreUriCase: true'],
  ['another port', 'uri: {prefix: /a}, port: 80', 'uri: {prefix: /a}'],
  ['a longer prefix', 'uri: {prefix: /a/b}', 'uri: {prefix: /a}'],
  ['an expression', 'uri: {regex: /a.*}', 'uri: {prefix: /a}'],
])('a rule behind one with %s is reached', (_, first, second) => {
  const spec = `{hosts: [web], http: [{match: [{${first}}], ${route}}, {match: [{${second}}], ${route}}]}`;
  expect(said(vs(spec))).toEqual([]);
});

const specWith = (more = ''): string => `{hosts: [web]${more}, http: [{${route}}]}`;

test('two rules for one host, unless no caller sees both', () => {
  expect(said(vs(specWith(), 'a'), vs(specWith(), 'b'))).toEqual([
    expect.stringMatching(/^hosts-conflict: VirtualService bar\/a is for web\.bar\.svc/),
  ]);
  expect(
    said(vs(specWith(', exportTo: ["."]'), 'a'), vs(specWith(', exportTo: [foo]'), 'b')),
  ).toEqual([]);
  expect(
    said(vs(specWith(', exportTo: ["."]'), 'a'), vs(specWith(', exportTo: [bar]'), 'b')),
  ).toHaveLength(1);
  const gateway = vs(specWith(', gateways: [ingress]'), 'b');
  expect(said(vs(specWith(), 'a'), gateway).some((one) => one.startsWith('hosts-conflict'))).toBe(
    false,
  );
});

test('a delegate must have no hosts and be exported', () => {
  const root = vs('{hosts: [web], http: [{delegate: {name: d}}]}');
  expect(said(root, vs(`{http: [{${route}}]}`, 'd'))).toEqual([]);
  expect(said(root, vs(`{hosts: [a.b], http: [{${route}}]}`, 'd'))[0]).toMatch(/has hosts/);
  expect(said(root, vs(`{exportTo: [foo], http: [{${route}}]}`, 'd'))[0]).toMatch(/not exported/);
});

const namesOf = (...names: string[]): ReadonlySet<string> => new Set(names);

test('a subset that no DestinationRule has', () => {
  const { resources } = loadText(
    vs('{hosts: [web], http: [{route: [{destination: {host: web, subset: v2}}]}]}'),
    'f.yaml',
  );
  const { virtualServices } = collectMesh(resources);
  expect(checkSubsets(virtualServices, () => namesOf('v2'))).toEqual([]);
  expect(checkSubsets(virtualServices, () => null)).toMatchObject([{ code: 'subset-unknown' }]);
  const asked: string[] = [];
  const [problem] = checkSubsets(virtualServices, (host, namespace) => {
    asked.push(`${host} ${namespace}`);
    return namesOf('v1');
  });
  expect(problem).toMatchObject({ mend: 'did you mean v1?' });
  expect(asked).toEqual(['web.bar.svc.cluster.local bar']);
});

test.each([
  [
    'a parent that is not there',
    '{parentRefs: [{group: "", kind: Service, name: wbe}]}',
    /^parent-unknown/,
  ],
  [
    'a parent without the port',
    '{parentRefs: [{group: "", kind: Service, name: web, port: 1}]}',
    /^parent-unknown.*port 1/,
  ],
  ['a Gateway alone', '{parentRefs: [{name: gateway}]}', /^parent-missing/],
  [
    'a backend that is not there',
    `{${parent}, rules: [{backendRefs: [{name: wbe, port: 1}]}]}`,
    /^backend-unknown/,
  ],
  [
    'a backend elsewhere',
    `{${parent}, rules: [{backendRefs: [{name: srv, namespace: foo, port: 80}]}]}`,
    /^grant-missing/,
  ],
  [
    'a filter of others',
    `{${parent}, rules: [{filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}]}]}`,
    /^filter-unserved/,
  ],
])('of an HTTPRoute: %s', (_, spec, expected) => {
  expect(said(httpRoute(spec))).toEqual([expect.stringMatching(expected)]);
});

test('of a session of an HTTPRoute nothing is said: it is kept', () => {
  const backend = 'backendRefs: [{name: web, port: 8080}]';
  const session = 'sessionPersistence: {type: Header, idleTimeout: 1h}';
  const plain = said(httpRoute(`{${parent}, rules: [{${backend}}]}`));
  expect(said(httpRoute(`{${parent}, rules: [{${backend}, ${session}}]}`))).toEqual(plain);
});
