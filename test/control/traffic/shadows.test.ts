import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { RouteGroup } from '#api/traffic/route.ts';
import { withoutShadowed } from '#control/traffic/shadows.ts';

const action = { kind: 'respond', status: 200, body: '' } as const;
const one = { source: 's', path: 'p', matches: [] };

const group: fc.Arbitrary<Omit<RouteGroup, 'key'>> = fc.record({
  hosts: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
  port: fc.constantFrom(0, 80, 8080),
  http: fc.constantFrom([], [{ ...one, name: 'n', action }]),
  tls: fc.constant([]),
  tcp: fc.constantFrom([], [{ ...one, destinations: [] }]),
});

/** As written: the first in order that says something. */
function first(
  groups: readonly RouteGroup[],
  host: string,
  port: number,
  field: 'http' | 'tcp',
): string | undefined {
  return groups.find(
    (one_) =>
      one_.hosts.includes(host) &&
      (one_.port === 0 || one_.port === port) &&
      one_[field].length > 0,
  )?.key;
}

test('what is left says the same, whether ports or order is looked at first', () => {
  fc.assert(
    fc.property(fc.array(group, { maxLength: 6 }), (list) => {
      const groups = list.map((rest, i) => ({ ...rest, key: `k${i}` }));
      const left = withoutShadowed(groups);
      expect(new Set(left.map(({ key }) => key)).size).toBe(left.length);
      const byPort = left.toSorted((a, b) => Number(a.port === 0) - Number(b.port === 0));
      for (const host of ['a', 'b', 'c']) {
        for (const port of [80, 8080, 9090]) {
          for (const field of ['http', 'tcp'] as const) {
            const wanted = first(groups, host, port, field);
            for (const found of [
              first(left, host, port, field),
              first(byPort, host, port, field),
            ]) {
              expect(found?.replace(' connections', '')).toBe(wanted);
            }
          }
        }
      }
    }),
  );
});

test('a group that nothing is taken from stays the same object', () => {
  const groups = [80, 0].map((port): RouteGroup => ({
    key: `k${port}`,
    hosts: ['a', 'b'],
    port,
    http: [{ ...one, name: 'n', action }],
    tls: [],
    tcp: [],
  }));
  expect(withoutShadowed(groups).every((left, i) => left === groups[i])).toBe(true);
});
