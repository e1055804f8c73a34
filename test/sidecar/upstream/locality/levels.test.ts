import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { carries, levelsOf, loadsOf, type Placed } from '#sidecar/upstream/locality/levels.ts';
import { matchesPlace, placeOf, type OwnPlace } from '#sidecar/upstream/locality/place.ts';

const at = (locality: string, weight = 1, labels = {}): Placed & { name: string } => ({
  name: locality,
  endpoint: { locality, labels },
  weight,
  healthy: true,
});
const here: OwnPlace = { place: placeOf('eu/a/rack-1'), labels: { version: 'v2', tier: 'gold' } };

function names(
  levels: readonly (readonly { members: readonly { name: string }[] }[])[],
): string[][] {
  return levels.map((groups) => groups.flatMap(({ members }) => members.map(({ name }) => name)));
}

test.each([
  ['eu/a/rack-1', '*', true],
  ['eu/a/rack-1', 'eu', true],
  ['eu/a/rack-1', 'eu/*', true],
  ['eu/a/rack-1', 'eu/a/*', true],
  ['eu/a/rack-1', 'eu/b/*', false],
  ['eu/a', 'eu/a/rack-1', false],
  ['/a', '*/a', true],
  ['us/a', 'eu/a', false],
])('%s meets %s: %s', (place, pattern, expected) => {
  expect(matchesPlace(placeOf(place), pattern)).toBe(expected);
});

describe('failover', () => {
  const members = ['us/a/x', 'eu/b/x', 'eu/a/rack-2', 'eu/a/rack-1', 'asia/a/x'].map((one) =>
    at(one),
  );

  test('is by subzone, zone and region, and then everywhere', () => {
    expect(names(levelsOf(members, {}, here, true))).toEqual([
      ['eu/a/rack-1'],
      ['eu/a/rack-2'],
      ['eu/b/x'],
      ['us/a/x', 'asia/a/x'],
    ]);
  });

  test('goes to the region that was told before all others', () => {
    const failover = [{ from: 'eu', to: 'asia' }];
    expect(names(levelsOf(members, { failover }, here, true)).slice(3)).toEqual([
      ['asia/a/x'],
      ['us/a/x'],
    ]);
  });

  test('does not count where nothing can tell that an endpoint is ill', () => {
    expect(levelsOf(members, {}, here, false)).toHaveLength(1);
  });

  test('by labels: the first one that differs decides, and a value may be given', () => {
    const some = [
      at('1', 1, { version: 'v2', tier: 'gold' }),
      at('2', 1, { version: 'v2', tier: 'tin' }),
      at('3', 1, { version: 'v1', tier: 'gold' }),
    ];
    const priority = (failoverPriority: string[]) =>
      names(levelsOf(some, { failoverPriority }, here, true));
    expect(priority(['version', 'tier'])).toEqual([['1'], ['2'], ['3']]);
    expect(priority(['tier', 'version'])).toEqual([['1'], ['3'], ['2']]);
    expect(priority(['version=v1'])).toEqual([['3'], ['1', '2']]);
  });

  test('by labels of topology: an endpoint has them by its place', () => {
    const zone = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'];
    expect(names(levelsOf(members, { failoverPriority: zone }, here, true))).toEqual([
      ['eu/a/rack-2', 'eu/a/rack-1'],
      ['eu/b/x'],
      ['us/a/x', 'asia/a/x'],
    ]);
  });
});

test('distribution gives places their percent, by weight within a pattern, and others nothing', () => {
  const members = [at('eu/a', 1), at('eu/b', 3), at('us/a', 1), at('asia/a', 1)];
  const distribute = [{ from: 'eu/*', to: { 'eu/*': 80, 'us/*': 20 } }];
  const [groups = []] = levelsOf(members, { distribute }, here, false);
  expect(groups.map(({ members: [one], weight }) => [one?.name, weight])).toEqual([
    ['eu/a', 20],
    ['eu/b', 60],
    ['us/a', 20],
  ]);
  const elsewhere: OwnPlace = { place: placeOf('us/a'), labels: {} };
  expect(names(levelsOf(members, { distribute }, elsewhere, false))).toEqual([
    ['eu/a', 'eu/b', 'us/a', 'asia/a'],
  ]);
});

test.each([
  // Envoy's own table: health of levels 0 and 1, in percent, and the calls that they get.
  [100, 100, 100, 0],
  [72, 100, 100, 0],
  [71, 100, 99, 1],
  [50, 100, 70, 30],
  [25, 100, 35, 65],
  [0, 100, 0, 100],
  [25, 25, 50, 50],
  [5, 65, 7, 93],
])('of levels with %d and %d %% health the calls are %d and %d %%', (one, other, first, second) => {
  const loads = loadsOf([carries(one, 100), carries(other, 100)]);
  expect(Math.abs(loads[0]! * 100 - first)).toBeLessThan(1);
  expect(Math.abs(loads[1]! * 100 - second)).toBeLessThan(1);
});

test('all calls go somewhere while anybody is healthy', () => {
  const level = fc.record({ healthy: fc.nat(20), ill: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(level, { minLength: 1, maxLength: 5 }), (levels) => {
      const loads = loadsOf(levels.map(({ healthy, ill }) => carries(healthy, healthy + ill)));
      const sum = loads.reduce((total, load) => total + load, 0);
      expect(sum).toBeCloseTo(levels.some(({ healthy }) => healthy > 0) ? 1 : 0, 9);
      expect(loads.filter((load) => load < 0)).toEqual([]);
      expect(loads.filter((load, i) => load > 0 && levels[i]!.healthy === 0)).toEqual([]);
    }),
  );
});

describe('zone aware', () => {
  const callers = new Map([
    ['a', 3],
    ['b', 1],
  ]);
  const zoned: OwnPlace = { ...here, callers };
  const many = ['eu/a', 'eu/a', 'eu/b', 'eu/b', 'us/a', 'asia/a'].map((one) => at(one));

  const groups = (own: OwnPlace, zoneAware: object) =>
    levelsOf(many, { zoneAware }, own)[0]?.length;

  test('zones share the calls within the own region, and other regions come after it', () => {
    const [first = [], ...others] = levelsOf(many, { zoneAware: { sizeMin: 4 } }, zoned, false);
    const [mine, other] = first;
    expect([mine?.members, other?.members]).toEqual([many.slice(0, 2), many.slice(2, 4)]);
    expect(mine?.share).toBeCloseTo(2 / 3);
    expect(other?.share).toBeCloseTo(1 / 3);
    expect(names(others)).toEqual([['us/a', 'asia/a']]);
  });

  test('other regions come in order of failover, and labels before regions', () => {
    const failover = [{ from: 'eu', to: 'asia' }];
    const order = (policy: object) => names(levelsOf(many, { zoneAware: {}, ...policy }, zoned));
    expect(order({ failover })).toEqual([['eu/a', 'eu/a', 'eu/b', 'eu/b'], ['asia/a'], ['us/a']]);
    const some = [at('us/a', 1, { version: 'v2' }), at('eu/a', 1, { version: 'v1' })];
    const policy = { zoneAware: { sizeMin: 1 }, failoverPriority: ['version'] };
    expect(names(levelsOf(some, policy, zoned))).toEqual([['us/a'], ['eu/a']]);
  });

  test('zones do not matter where there are few endpoints, or nobody knows where callers are', () => {
    expect(groups(zoned, { sizeMin: 4 })).toBe(2);
    expect(groups(zoned, { sizeMin: 5 })).toBe(1);
    expect(groups(zoned, {})).toBe(1);
    expect(groups(here, { sizeMin: 4 })).toBe(1);
    expect(groups({ ...zoned, place: placeOf('africa/a') }, { sizeMin: 1 })).toBe(1);
  });

  test('endpoints that are not healthy do not count', () => {
    const ill = many.map((one, i) => (i === 0 ? { ...one, healthy: false } : one));
    const [first = []] = levelsOf(ill, { zoneAware: { sizeMin: 3 } }, zoned);
    const [mine = 0, other = 0] = first.map(({ share = 0 }) => share);
    expect(mine).toBeCloseTo(1 / 3 / 0.75);
    expect(mine + other).toBeCloseTo(1);
    expect(levelsOf(ill, { zoneAware: { sizeMin: 4 } }, zoned)[0]).toHaveLength(1);
  });
});
