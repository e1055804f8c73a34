// Endpoints in order of nearness, and how much of the calls each level gets: Envoy's priorities.
import type { LocalityBalancing } from '#api/traffic/destination.ts';

import { distance, labelDistance, matchesPlace, nowhere, placeOf, type OwnPlace } from './place.ts';
import { zoneShares } from './zones.ts';

/** An endpoint as far as its place counts. */
export interface Placed {
  readonly endpoint: {
    readonly locality?: string;
    readonly zone?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** By its own weight, warm or not. */
  readonly weight: number;
  readonly healthy: boolean;
}

/** Some endpoints of one level, to be chosen among by a balancer of their own. */
export interface Group<M> {
  readonly members: readonly M[];
  /** Beside the other groups of its level; less of it counts as fewer members are healthy. */
  readonly weight: number;
  /** Counts in place of that while the level does not panic: the health of all groups is in it. */
  readonly share?: number;
}

/** Nearest first; a level has at least one group, and no group is empty. */
export type Levels<M> = readonly (readonly Group<M>[])[];

/**
 * @param detects unhealthy endpoints can be told, by ejection or checks: without, nearness is not
 *   looked at, as in Istio, because nothing would ever fail over
 */
export function levelsOf<M extends Placed>(
  members: readonly M[],
  policy: LocalityBalancing | undefined,
  own: OwnPlace = nowhere,
  detects = true,
): Levels<M> {
  if (members.length === 0) return [];
  if (policy === undefined) return [[{ members, weight: 1 }]];
  if (policy.zoneAware !== undefined) return byRegion(members, policy, policy.zoneAware, own);
  const place = own.place;
  const shares = policy.distribute?.find(({ from }) => matchesPlace(place, from));
  // Of rules for other callers nothing holds here.
  if (policy.distribute !== undefined) {
    return shares === undefined ? [[{ members, weight: 1 }]] : distributed(members, shares.to);
  }
  if (!detects) return [[{ members, weight: 1 }]];
  return byDistance(members, (member) => {
    const there = placeOf(localityOf(member));
    const { failoverPriority, failover } = policy;
    return failoverPriority === undefined
      ? distance(place, there, failover)
      : labelDistance(own, there, member.endpoint.labels, failoverPriority);
  });
}

/** By labels, then regions; of the caller's own region by zones. */
function byRegion<M extends Placed>(
  members: readonly M[],
  { failover, failoverPriority = [] }: LocalityBalancing,
  { sizeMin }: NonNullable<LocalityBalancing['zoneAware']>,
  own: OwnPlace,
): Levels<M> {
  const levels = byDistance(members, (member) => {
    const there = placeOf(localityOf(member));
    const tier = labelDistance(own, there, member.endpoint.labels, failoverPriority);
    return tier * regionsMax + Math.max(2, distance(own.place, there, failover));
  });
  const [first, ...others] = levels;
  const nearest = first?.[0]?.members ?? [];
  const isOwn = nearest.every((one) => placeOf(localityOf(one)).region === own.place.region);
  if (sizeMin === undefined || !isOwn) return levels;
  return [byZone(nearest, sizeMin, own), ...others];
}

/** Distances of regions are below. */
const regionsMax = 8;

function byZone<M extends Placed>(
  members: readonly M[],
  sizeMin: number,
  { place, callers = new Map() }: OwnPlace,
): readonly Group<M>[] {
  const zones = Map.groupBy(members, (one) => placeOf(localityOf(one)).zone);
  const healthy = new Map(
    [...zones].map(([zone, some]) => [zone, some.filter((one) => one.healthy).length]),
  );
  const shares = zoneShares(place.zone, callers, healthy, sizeMin);
  if (shares === null) return [{ members, weight: 1 }];
  return [...zones].map(([zone, some]) => ({
    members: some,
    weight: some.length,
    share: shares.get(zone) ?? 0,
  }));
}

function localityOf({ endpoint }: Placed): string {
  return endpoint.locality ?? `/${endpoint.zone ?? ''}`;
}

function byDistance<M>(members: readonly M[], far: (member: M) => number): Levels<M> {
  const levels = new Map<number, M[]>();
  for (const member of members) {
    const at = far(member);
    const level = levels.get(at);
    if (level === undefined) levels.set(at, [member]);
    else level.push(member);
  }
  return [...levels]
    .toSorted(([a], [b]) => a - b)
    .map(([, level]) => [{ members: level, weight: 1 }]);
}

/** One level, whose places share calls as told; of places that no rule names nobody is called. */
function distributed<M extends Placed>(
  members: readonly M[],
  to: Readonly<Record<string, number>>,
): Levels<M> {
  const byPlace = Map.groupBy(members, localityOf);
  const groups: Group<M>[] = [];
  for (const [pattern, percent] of Object.entries(to)) {
    const met = [...byPlace].filter(([place]) => matchesPlace(placeOf(place), pattern));
    const all = met.reduce((sum, [, some]) => sum + weightOf(some), 0);
    for (const [place, some] of met) {
      byPlace.delete(place);
      const weight = (percent * weightOf(some)) / all;
      if (weight > 0) groups.push({ members: some, weight });
    }
  }
  return groups.length === 0 ? [] : [groups];
}

function weightOf(members: readonly Placed[]): number {
  return members.reduce((sum, { weight }) => sum + weight, 0);
}

/** A level counts as whole while 100 / 1.4 % of it is healthy. */
const overprovisioning = 1.4;

/** How much of a whole is there to carry its calls, 0 to 1. */
export function carries(healthy: number, all: number): number {
  return all === 0 ? 0 : Math.min(1, (overprovisioning * healthy) / all);
}

/**
 * The part of the calls that goes to each level: the first takes what it can carry, the next what
 * is left. Where all together carry less than the whole, each gets its part of it.
 */
export function loadsOf(capacities: readonly number[]): number[] {
  const total = Math.min(
    1,
    capacities.reduce((sum, capacity) => sum + capacity, 0),
  );
  let left = 1;
  return capacities.map((capacity) => {
    const load = total === 0 ? 0 : Math.min(left, capacity / total);
    left -= load;
    return load;
  });
}
