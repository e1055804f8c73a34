import { expect, test } from 'vitest';

import { RouteVerdicts } from '#control/traffic/route-verdicts.ts';

import { httpRoute, meshOf } from './mesh.ts';

const service = '{group: "", kind: Service, name: payments}';

/** Reasons of the route `r` of shop, parent by parent. */
function reasonsOf(spec: string, ...more: string[]): (string | null)[] {
  const verdicts = new RouteVerdicts(meshOf(httpRoute('r', spec), ...more));
  return verdicts
    .of('HTTPRoute/shop/r')
    .map((one) => one && `${one.accepted.reason} ${one.resolvedRefs.reason}`);
}

const rules = (backend: string): string => `rules: [{backendRefs: [${backend}]}]`;

test.each([
  ['all is there', '{name: web, port: 80}', 'ResolvedRefs'],
  ['a backend is not', '{name: absent, port: 80}', 'BackendNotFound'],
  ['a backend is of another kind', '{group: a, kind: B, name: web, port: 80}', 'InvalidKind'],
  ['nobody granted a backend', '{name: ledger, namespace: bank, port: 80}', 'RefNotPermitted'],
])('where %s', (_, backend, reason) => {
  expect(reasonsOf(`parentRefs: [${service}]\n${rules(backend)}`)).toEqual([`Accepted ${reason}`]);
});

test('each parent has its own verdict; one that is not ours has none', () => {
  const parents = `parentRefs: [{name: gateway}, ${service}, {group: "", kind: Service, name: absent}]`;
  expect(reasonsOf(`${parents}\n${rules('{name: web, port: 80}')}`)).toEqual([
    null,
    'Accepted ResolvedRefs',
    'NoMatchingParent ResolvedRefs',
  ]);
  expect(new RouteVerdicts(meshOf()).of('HTTPRoute/shop/r')).toEqual([]);
});

const onPort = (port = ''): string =>
  `parentRefs: [{group: "", kind: Service, name: payments${port}}]\n${rules('{name: web, port: 80}')}`;

test('an HTTPRoute gives way to a GRPCRoute of the same port', () => {
  const grpc = (port?: string): string =>
    httpRoute('g', onPort(port)).replace('kind: HTTPRoute', 'kind: GRPCRoute');
  expect(reasonsOf(onPort(), grpc())).toEqual(['Conflicted ResolvedRefs']);
  expect(reasonsOf(onPort(', port: 80'), grpc())).toEqual(['Conflicted ResolvedRefs']);
  expect(reasonsOf(onPort(', port: 80'), grpc(', port: 8080'))).toEqual(['Accepted ResolvedRefs']);
  expect(reasonsOf(onPort(), grpc(', port: 8080'))).toEqual(['Accepted ResolvedRefs']);
});
