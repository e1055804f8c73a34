// What a snapshot says of a cluster, and whether it says the same as before.
import { isDeepStrictEqual } from 'node:util';

import type { Endpoint, ServiceResolution } from '#api/snapshot.ts';
import type { TrafficPolicy } from '#api/traffic/destination.ts';

import type { OwnPlace } from './locality/place.ts';

export interface ClusterUpdate {
  readonly endpoints: readonly Endpoint[];
  /** Of a subset: the endpoints that carry them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly resolution: ServiceResolution | undefined;
  readonly policy: TrafficPolicy;
  /** Where the caller runs. */
  readonly own: OwnPlace;
}

/** But for the policy, which is compared part by part. */
export function isSameUpdate(before: ClusterUpdate, now: ClusterUpdate): boolean {
  return (
    before.endpoints === now.endpoints &&
    before.resolution === now.resolution &&
    before.own === now.own &&
    isDeepStrictEqual(before.labels, now.labels)
  );
}
