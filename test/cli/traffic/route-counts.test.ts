// Routes out of the paths of calls: bounded, and without ids.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { pathPattern, RouteCounts, routesMax } from '#cli/traffic/route-counts.ts';
import { answered } from '#test/cli/sidecars/call-records.ts';

test.each([
  ['/', '/'],
  ['', ''],
  ['/api/v1/charges?x=1#y', '/api/v1/charges'],
  ['/users/42/orders/7', '/users/*/orders/*'],
  ['/a/6fa459ea-ee8a-3ca4-894e-db77e160355e', '/a/*'],
  ['/blobs/9f86d081884c7d65', '/blobs/*'],
  ['/t/eyJhbGciOiJIUzI1NiJ9xyz', '/t/*'],
  ['/facade/deadbeefcafe', '/facade/deadbeefcafe'],
  ['/a-name-without-any-number-in-it', '/a-name-without-any-number-in-it'],
  ['/1/2/3/4/5/6/7/8/9/10', '/*/*/*/*/*/*/*/*/…'],
])('%s is %s', (path, pattern) => {
  expect(pathPattern(path)).toBe(pattern);
});

test('a pattern has no more parts than its bound', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (path) => {
      expect(pathPattern(path).split('/').length).toBeLessThanOrEqual(10);
    }),
  );
});

test('whoever makes up paths fills one row', () => {
  const routes = new RouteCounts();
  for (let i = 0; i < routesMax + 50; i += 1) routes.add(answered({ path: `/path-${i}` }));
  const rows = routes.list();
  expect(rows).toHaveLength(routesMax + 1);
  expect(rows[0]).toMatchObject({ source: '*', path: '(others)', requests: 50 });
});

test('a gRPC failure is one, a connection counts as a call', () => {
  const routes = new RouteCounts();
  routes.add(answered({ grpcStatus: '14' }));
  routes.add(answered({ grpcStatus: '5' }));
  routes.add(answered({ method: '', path: '', status: 0 }));
  expect(routes.list()).toMatchObject([
    { method: 'POST', requests: 2, failures: 1 },
    { method: 'TCP', requests: 1, failures: 0 },
  ]);
});
