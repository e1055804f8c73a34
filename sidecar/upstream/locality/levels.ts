// Endpoints in order of nearness, and how much of the calls each level gets: Envoy's priorities.
import type { LocalityBalancing } from '#api/traffic/destination.ts';

import { distance, labelDistance, matchesPlace, nowhere, placeOf, type OwnPlace } from './place.ts';

/** An endpoint as far as its place counts. */
export interface Placed {
  readonly endpoint: {
    readonly locality?: string;
    readonly zone?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** By its own weight, warm or not. */
  readonly weight: number;
}

/** Some endpoints of one level, to be chosen among by a balancer of their own. */
export interface Group<M> {
  readonly members: readonly M[];
  /** Beside the other groups of its level. */
  readonly weight: number;
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
