// ConnectionPoolSettings as sidecars carry them out; zero is not set, and the mesh says what is not.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { ConnectionPoolSpec } from '#api/kinds/traffic-policy.ts';
import type { ConnectionPool } from '#api/traffic/destination.ts';

import { millis } from './durations.ts';

type H2Policy = NonNullable<ConnectionPoolSpec['http']>['h2UpgradePolicy'];

/** Null: nothing is said. */
export function poolOf(
  spec: ConnectionPoolSpec | undefined,
  mesh: Pick<MeshConfig, 'connectTimeout' | 'tcpKeepalive' | 'h2UpgradePolicy'>,
): ConnectionPool | null {
  const { tcp, http } = spec ?? {};
  const keepAlive = keepAliveOf(tcp?.tcpKeepalive ?? mesh.tcpKeepalive);
  const http2KeepAlive = given({
    intervalMs: millis(http?.http2KeepAlive?.interval) || undefined,
    timeoutMs: millis(http?.http2KeepAlive?.timeout) || undefined,
  });
  const h2Upgrade = upgradeOf(http?.h2UpgradePolicy, mesh.h2UpgradePolicy);
  const numbers = {
    maxConnections: tcp?.maxConnections || undefined,
    connectTimeoutMs: millis(tcp?.connectTimeout ?? mesh.connectTimeout) || undefined,
    maxConnectionDurationMs: millis(tcp?.maxConnectionDuration) || undefined,
    // Here zero says something: never.
    tcpIdleTimeoutMs: millis(tcp?.idleTimeout),
    maxPendingRequests: http?.http1MaxPendingRequests || undefined,
    maxRequests: http?.http2MaxRequests || undefined,
    maxRequestsPerConnection: http?.maxRequestsPerConnection || undefined,
    maxRetries: http?.maxRetries || undefined,
    httpIdleTimeoutMs: millis(http?.idleTimeout) || undefined,
    maxConcurrentStreams: http?.maxConcurrentStreams || undefined,
  };
  const pool: ConnectionPool = {
    ...given(numbers),
    ...(keepAlive !== null && { keepAlive }),
    ...(Object.keys(http2KeepAlive).length > 0 && { http2KeepAlive }),
    ...(h2Upgrade !== null && { h2Upgrade }),
    ...(http?.useClientProtocol === true && { useClientProtocol: true }),
  };
  return Object.keys(pool).length === 0 ? null : pool;
}

function keepAliveOf(spec: MeshConfig['tcpKeepalive']): ConnectionPool['keepAlive'] | null {
  if (spec === undefined) return null;
  return given({
    probes: spec.probes || undefined,
    timeMs: millis(spec.time) || undefined,
    intervalMs: millis(spec.interval) || undefined,
  });
}

function upgradeOf(
  own: H2Policy = 'DEFAULT',
  mesh: MeshConfig['h2UpgradePolicy'],
): ConnectionPool['h2Upgrade'] | null {
  const said = own === 'DEFAULT' ? mesh : own;
  if (said === undefined) return null;
  return said === 'UPGRADE' ? 'upgrade' : 'do-not-upgrade';
}

function given(numbers: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const said = Object.entries(numbers).filter(([, number]) => number !== undefined);
  return Object.fromEntries(said) as Record<string, number>;
}
