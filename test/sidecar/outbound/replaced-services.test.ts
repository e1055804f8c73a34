import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import { compileRoutes } from '#sidecar/outbound/routes.ts';

import { serviceOf, snapshotOf } from '../rig.ts';

const names = ['a', 'b', 'c'];
const services = fc.array(
  fc.record({
    name: fc.constantFrom(...names),
    host: fc.constantFrom(...names),
    address: fc.constantFrom('', '10.96.0.1', '10.96.0.2'),
    ports: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
    endpoint: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 5 },
);
type Seed = typeof services extends fc.Arbitrary<(infer T)[]> ? T : never;

function service({ name, host, address, ports, endpoint }: Seed): Service {
  const one = serviceOf(name, [{ port: endpoint }]);
  const [port] = one.ports;
  return {
    ...one,
    hosts: [`${host}.shop.svc.cluster.local`],
    addresses: address === '' ? [] : [address],
    ports: port === undefined ? [] : ports.map((number) => ({ ...port, port: number })),
  };
}

const authorities = [
  ...names.flatMap((name) => [name, `${name}.shop`, `${name}.shop.svc.cluster.local`]),
  '10.96.0.1',
  '10.96.0.2',
].flatMap((host) => [1, 2, 3].map((port) => `${host}:${port}`));

test('a table with other endpoints is the one that would be made anew', () => {
  let kept = 0;
  fc.assert(
    fc.property(services, services, fc.boolean(), (first, other, onlyEndpoints) => {
      const before = first.map(service);
      const second = onlyEndpoints
        ? first.map((seed, i) => ({ ...seed, endpoint: other[i]?.endpoint ?? seed.endpoint }))
        : other;
      const after = second.map(service);
      const table = compileRoutes(snapshotOf({ services: before })).withServices(after);
      expect(table !== null || !onlyEndpoints).toBe(true);
      if (table === null) return;
      kept += 1;
      const anew = compileRoutes(snapshotOf({ services: after }));
      expect(table.routes).toEqual(anew.routes);
      for (const authority of authorities) {
        expect(table.find(authority, 80)).toEqual(anew.find(authority, 80));
      }
      for (const port of [1, 2, 3]) {
        expect(table.findEndpoint('127.0.0.1', port)).toEqual(anew.findEndpoint('127.0.0.1', port));
      }
    }),
    { numRuns: 400, seed: 3 },
  );
  expect(kept).toBeGreaterThan(150);
});

test('a service that is the same object keeps its route, and a table outlives several changes', () => {
  const [one, two] = [serviceOf('one', [{ port: 1 }]), serviceOf('two', [{ port: 1 }])];
  const first = compileRoutes(snapshotOf({ services: [one, two] }));
  const second = first.withServices([one, serviceOf('two', [{ port: 2 }])]);
  const third = second?.withServices([one, serviceOf('two', [])]);
  expect(third?.routes[0]).toBe(first.routes[0]);
  expect(third?.routes[1]?.port.endpoints).toEqual([]);
  expect(first.routes[1]?.port.endpoints).toHaveLength(1);
});

test.each<readonly [string, Partial<Service>]>([
  ['name', { name: 'other' }],
  ['namespace', { namespace: 'other' }],
  ['host', { hosts: ['one.shop.svc.cluster.local', 'alias'] }],
  ['address', { addresses: ['10.96.0.9'] }],
  ['port', { ports: [] }],
])('another %s needs a table of its own', (_, change) => {
  const one = serviceOf('one', [{ port: 1 }]);
  const table = compileRoutes(snapshotOf({ services: [one] }));
  expect(table.withServices([{ ...one, ...change }])).toBeNull();
});
