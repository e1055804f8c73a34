// LoadBalancerSettings as sidecars carry them out: the way to choose, the key of a hash, nearness, the sparing of new ones.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { LoadBalancerSpec, LocalityLbSetting } from '#api/kinds/traffic-policy.ts';
import type {
  HashKey,
  LoadBalancing,
  LocalityBalancing,
  Warmup,
} from '#api/traffic/destination.ts';

import { millis } from './durations.ts';

const ringSizeDefault = 1024;
const tableSizeDefault = 65_537;
/** Envoy's default. */
const clusterSizeMin = 6;

type Hash = NonNullable<LoadBalancerSpec['consistentHash']>;
type ZoneAwareLbSetting = NonNullable<LoadBalancerSpec['zoneAwareLbSetting']>;

/** Null: nothing is said, and it is LEAST_REQUEST. */
export function balancingOf(spec: LoadBalancerSpec | undefined): LoadBalancing | null {
  if (spec?.consistentHash !== undefined) return hashing(spec.consistentHash);
  switch (spec?.simple) {
    case 'LEAST_CONN':
    case 'LEAST_REQUEST':
      return { kind: 'least-request' };
    case 'ROUND_ROBIN':
      return { kind: 'round-robin' };
    case 'RANDOM':
      return { kind: 'random' };
    case 'PASSTHROUGH':
      return { kind: 'passthrough' };
    default:
      return null;
  }
}

function hashing(spec: Hash): LoadBalancing {
  const key = keyOf(spec);
  // As Envoy: without a key any endpoint will do.
  if (key === null) return { kind: 'random' };
  if (spec.maglev !== undefined) {
    return { kind: 'maglev', key, tableSize: spec.maglev.tableSize ?? tableSizeDefault };
  }
  const written = spec.ringHash?.minimumRingSize || spec.minimumRingSize;
  return { kind: 'ring-hash', key, minimumRingSize: written || ringSizeDefault };
}

function keyOf(spec: Hash): HashKey | null {
  const { httpHeaderName, httpCookie, useSourceIp = false, httpQueryParameterName } = spec;
  if (httpHeaderName !== undefined) return { kind: 'header', name: httpHeaderName.toLowerCase() };
  if (httpCookie !== undefined) {
    const { name, path, ttl, attributes } = httpCookie;
    const given = attributes.map((one) => [one.name, one.value] as const);
    return {
      kind: 'cookie',
      name,
      ...(path !== '' && { path }),
      ...(ttl !== undefined && { ttlS: Math.ceil((millis(ttl) ?? 0) / 1000) }),
      ...(given.length > 0 && { attributes: Object.fromEntries(given) }),
    };
  }
  if (httpQueryParameterName !== undefined) return { kind: 'query', name: httpQueryParameterName };
  return useSourceIp ? { kind: 'source-ip' } : null;
}

/**
 * Null: localities do not matter. A rule's own setting takes the place of the mesh's; failing over needs outliers to be
 * detected, and then it is the default.
 */
export function localityOf(
  spec: LoadBalancerSpec | undefined,
  mesh: MeshConfig,
  ejects: boolean,
): LocalityBalancing | null {
  const zoneAware = spec?.zoneAwareLbSetting;
  if (spec !== undefined && zoneAware !== undefined && zoneAware.enabled !== false) {
    return zoneAwareOf(spec, zoneAware);
  }
  const setting: Partial<LocalityLbSetting> =
    spec?.localityLbSetting ?? mesh.localityLbSetting ?? {};
  const { enabled = true, distribute = [], failover = [], failoverPriority = [] } = setting;
  if (!enabled) return null;
  if (distribute.length > 0) return { distribute };
  if (!ejects) return null;
  return {
    ...(failover.length > 0 && { failover }),
    ...(failoverPriority.length > 0 && { failoverPriority }),
  };
}

function zoneAwareOf(
  { consistentHash }: LoadBalancerSpec,
  { minClusterSize, failover, failoverPriority }: ZoneAwareLbSetting,
): LocalityBalancing {
  // As in Envoy: a key leads to one endpoint, wherever that is.
  const zoneAware =
    consistentHash === undefined ? { sizeMin: minClusterSize ?? clusterSizeMin } : {};
  return {
    zoneAware,
    ...(failover.length > 0 && { failover }),
    ...(failoverPriority.length > 0 && { failoverPriority }),
  };
}

export function warmupOf(spec: LoadBalancerSpec | undefined): Warmup | null {
  const { warmup, warmupDurationSecs } = spec ?? {};
  const durationMs = millis(warmup?.duration ?? warmupDurationSecs) ?? 0;
  if (durationMs === 0) return null;
  const { minimumPercent = 10, aggression = 1 } = warmup ?? {};
  return { durationMs, minimumPercent, aggression };
}
