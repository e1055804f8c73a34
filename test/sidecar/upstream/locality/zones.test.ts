import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Endpoint } from '#api/snapshot.ts';
import { callersOf, zoneShares } from '#sidecar/upstream/locality/zones.ts';

type Counts = Record<string, number>;

const zones = (counts: Counts): Map<string, number> => new Map(Object.entries(counts));

test.each<[string, Counts, Counts, Counts]>([
  ['all stay where there is enough', { a: 1, b: 1 }, { a: 3, b: 3 }, { a: 1 }],
  ['all stay where there is more than enough', { a: 1, b: 3 }, { a: 3, b: 3 }, { a: 1 }],
  [
    'the rest goes where there is room',
    { a: 3, b: 1, c: 1 },
    { a: 2, b: 4, c: 4 },
    { a: 1 / 3, b: 1 / 3, c: 1 / 3 },
  ],
  ['nothing is kept where nobody is healthy', { a: 1, b: 1 }, { a: 0, b: 6 }, { a: 0, b: 1 }],
  ['callers are all in one zone', { a: 2 }, { a: 2, b: 4 }, { a: 1 / 3, b: 2 / 3 }],
])('%s', (_, callers, endpoints, expected) => {
  const shares = zoneShares('a', zones(callers), zones(endpoints), 6);
  expect([...(shares ?? [])].map(([zone]) => zone)).toEqual(Object.keys(expected));
  for (const [zone, share] of shares ?? []) expect(share).toBeCloseTo(expected[zone]!, 9);
});

test.each<[string, string, Counts, Counts]>([
  ['one zone', 'a', { a: 1, b: 1 }, { a: 6 }],
  ['few endpoints', 'a', { a: 1, b: 1 }, { a: 2, b: 3 }],
  ['nobody is healthy', 'a', { a: 1, b: 1 }, { a: 0, b: 0 }],
  ['the caller is not among those who are known', 'a', { b: 1 }, { a: 3, b: 3 }],
  ['the caller does not know where it is', '', { '': 1, b: 1 }, { '': 3, b: 3 }],
])('zones do not matter: %s', (_, own, callers, endpoints) => {
  expect(zoneShares(own, zones(callers), zones(endpoints), 6)).toBeNull();
});

/** In four zones, at least one. */
const counts = fc
  .array(fc.nat({ max: 9 }), { minLength: 4, maxLength: 4 })
  .filter((all) => all.some((count) => count > 0));
const zoneName = (i: number): string => `zone-${i}`;
const named = (all: readonly number[]): Map<string, number> =>
  new Map(all.map((count, i) => [zoneName(i), count]));

test('every endpoint gets as many calls as the others, and no call crosses zones without need', () => {
  fc.assert(
    fc.property(counts, counts, (callers, endpoints) => {
      const [callersAll, all] = [callers, endpoints].map((some) => some.reduce((a, b) => a + b, 0));
      const load = new Map<string, number>();
      callers.forEach((count, i) => {
        if (count === 0) return;
        const shares = zoneShares(zoneName(i), named(callers), named(endpoints), 1)!;
        const [here, there] = [count / callersAll!, endpoints[i]! / all!];
        expect(shares.get(zoneName(i))).toBeCloseTo(Math.min(1, there / here), 9);
        for (const [zone, share] of shares) load.set(zone, (load.get(zone) ?? 0) + share * here);
      });
      endpoints.forEach((count, i) => {
        expect(load.get(zoneName(i)) ?? 0).toBeCloseTo(count / all!, 9);
      });
    }),
  );
});

const endpoint = (workload: string, locality: string, labels = {}): Endpoint => ({
  address: '10.0.0.1',
  port: 80,
  identity: null,
  workload,
  namespace: 'shop',
  labels,
  locality,
});

test('callers are the pods of the workload in its region, of its revision, that the first Service has', () => {
  const revision = { 'pod-template-hash': 'x' };
  const web = { namespace: 'shop', name: 'web', serviceAccount: 'web', ports: [] };
  const routes = [
    { port: { endpoints: [endpoint('cart', 'eu/a')] } },
    {
      port: {
        endpoints: [
          endpoint('web', 'eu/a', revision),
          endpoint('web', 'eu/b', revision),
          endpoint('web', 'eu/b'),
          endpoint('web', 'us/a', revision),
          { ...endpoint('web', 'eu/a', revision), namespace: 'other' },
        ],
      },
    },
    { port: { endpoints: [endpoint('web', 'eu/c', revision)] } },
  ];
  expect(callersOf({ ...web, labels: revision }, 'eu', routes)).toEqual(zones({ a: 1, b: 1 }));
  expect(callersOf({ ...web, labels: {} }, 'eu', routes)).toEqual(zones({ a: 1, b: 2 }));
  expect(callersOf({ ...web, name: 'none', labels: {} }, 'eu', routes)).toEqual(new Map());
});
