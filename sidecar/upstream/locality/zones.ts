// How callers of all zones share the endpoints of a region, as Envoy's zone aware routing: in their own zone while no endpoint
// gets more than others.
import type { Endpoint } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';

import { placeOf } from './place.ts';

/** How many there are in each zone. */
export type Zones = ReadonlyMap<string, number>;

/** Of pods of different Deployments by one name, as in a canary rollout, those that are as the caller is. */
const revisionLabel = 'pod-template-hash';

/**
 * Which part of the calls from one zone goes to each zone; together 1. Where callers in every zone do as it says, each
 * zone gets calls in proportion to its endpoints, and as few as can be cross zones.
 * @param own the caller's zone
 * @param callers pods of the caller's workload
 * @param endpoints the healthy ones, by each zone that has any at all
 * @param sizeMin with fewer endpoints zones do not matter
 * @returns null: zones do not matter
 */
export function zoneShares(
  own: string,
  callers: Zones,
  endpoints: Zones,
  sizeMin: number,
): Zones | null {
  const [callersAll, all] = [sumOf(callers), sumOf(endpoints)];
  const [callersHere, here] = [callers.get(own) ?? 0, endpoints.get(own) ?? 0];
  if (own === '' || endpoints.size < 2 || callersHere === 0 || all === 0 || all < sizeMin) {
    return null;
  }
  if (here * callersAll >= callersHere * all) return new Map([[own, 1]]);
  const kept = (here * callersAll) / (callersHere * all);
  /** What is left in other zones by their own callers. */
  const spare = [...endpoints].map(([zone, count]) => {
    const left = count * callersAll - (callers.get(zone) ?? 0) * all;
    return [zone, zone === own ? 0 : Math.max(0, left)] as const;
  });
  const spareAll = spare.reduce((sum, [, left]) => sum + left, 0);
  return new Map(
    spare.map(([zone, left]) => [zone, zone === own ? kept : ((1 - kept) * left) / spareAll]),
  );
}

/** Pods of the workload by zone, of its region; empty: no Service has them, so nobody knows. */
export function callersOf(
  { namespace, name, labels }: Workload,
  region: string,
  routes: Iterable<{ readonly port: { readonly endpoints: readonly Endpoint[] } }>,
): Zones {
  const zones = new Map<string, number>();
  const revision = labels[revisionLabel];
  for (const { port } of routes) {
    for (const endpoint of port.endpoints) {
      if (endpoint.workload !== name || endpoint.namespace !== namespace) continue;
      if (revision !== undefined && endpoint.labels[revisionLabel] !== revision) continue;
      const place = placeOf(endpoint.locality ?? `/${endpoint.zone ?? ''}`);
      if (place.region !== region) continue;
      zones.set(place.zone, (zones.get(place.zone) ?? 0) + 1);
    }
    // As in Istio the first Service that has them says where they are.
    if (zones.size > 0) break;
  }
  return zones;
}

function sumOf(zones: Zones): number {
  let sum = 0;
  for (const count of zones.values()) sum += count;
  return sum;
}
