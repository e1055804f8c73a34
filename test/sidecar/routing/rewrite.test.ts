import { expect, test } from 'vitest';

import type { HttpRoute, MessageEdits, RouteMatch } from '#api/traffic/route.ts';
import type { Exchange } from '#sidecar/exchange.ts';
import { choose } from '#sidecar/routing/choose.ts';
import { compileRoute } from '#sidecar/routing/compile-route.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { editRequest } from '#sidecar/routing/rewrite.ts';

import { makeExchange, type FakeRequest } from '../telemetry/exchanges.ts';
import { makeRoute } from './models.ts';

const regexes = await prepareRegexes({});
const match: RouteMatch = { path: { kind: 'prefix', value: '/charges' } };

function edit(
  changes: Partial<HttpRoute>,
  ...own: MessageEdits[]
): Exchange & { request: FakeRequest } {
  const destinations = own.map((headers) => ({
    destination: { host: 'd', port: 80, subset: '' },
    weight: 1,
    headers,
  }));
  const route = makeRoute({ ...changes, action: { kind: 'forward', destinations } });
  const compiled = compileRoute(route, match, regexes);
  const x = makeExchange({ path: '/charges/1?q' });
  if (compiled.action.kind !== 'forward') throw new Error('not a forward');
  const to = choose(compiled.action, 0, x.request, '', () => 0);
  if (to === null) throw new Error('no destination');
  editRequest(x, compiled, to);
  return x;
}

test('a rewrite keeps the query and names the path before', () => {
  const { request } = edit(
    { rewrite: { path: { kind: 'prefix', value: '/v2' }, authority: 'b' } },
    {},
  );
  expect([request.path, request.authority]).toEqual(['/v2/1?q', 'b']);
  expect(request.values('x-envoy-original-path')).toEqual(['/charges/1?q']);
});

test('without a rewrite path and authority stay, and nothing names them', () => {
  const { request } = edit({}, {});
  expect([request.path, request.authority]).toEqual(['/charges/1?q', 'payments.billing']);
  expect(request.lines()).toEqual([]);
});

test('headers are edited before the path is', () => {
  const headers = { request: { set: { a: '%REQ(:path)%' } } };
  const { request } = edit({ headers, rewrite: { path: { kind: 'full', value: '/' } } }, {});
  expect(request.values('a')).toEqual(['/charges/1?q']);
});

test('an only destination has the last word on headers, one of several has not, as under Istio', () => {
  const headers = { request: { set: { a: 'route' } } };
  const own = { request: { set: { a: 'destination' } } };
  expect(edit({ headers }, own).request.values('a')).toEqual(['destination']);
  expect(edit({ headers }, own, own).request.values('a')).toEqual(['route']);
});

const host = (name: string): MessageEdits =>
  name === '' ? {} : { request: { set: { host: name } } };

test.each([
  ['rewrite', 'route', 'destination', 'rewrite'],
  ['', 'route', 'destination', 'route'],
  ['', '', 'destination', 'destination'],
  ['', '', '', 'payments.billing'],
])('of the hosts %j, %j and %j, %j counts', (rewrite, route, destination, counts) => {
  const changes = {
    headers: host(route),
    ...(rewrite === '' ? {} : { rewrite: { authority: rewrite } }),
  };
  expect(edit(changes, host(destination)).request.authority).toBe(counts);
  expect(edit(changes, host(destination), host(destination)).request.authority).toBe(counts);
});
