// What a policy says of connections, as the limits of pools; what it leaves out stays as without a policy.
import type { Socket } from 'node:net';

import type { ConnectionPool } from '#api/traffic/destination.ts';

import { http1PoolLimits, type Http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits, type Http2Limits } from '../wire/http2/limits.ts';

export interface PoolLimits {
  readonly http1: Readonly<Http1PoolLimits>;
  readonly http2: Readonly<Http2Limits>;
  /** Probes of TCP on idle connections; null: the system's choice, none. */
  readonly keepAlive: NonNullable<ConnectionPool['keepAlive']> | null;
}

export const defaultPoolLimits: PoolLimits = Object.freeze({
  http1: http1PoolLimits,
  http2: http2Limits,
  keepAlive: null,
});

/** Counts are for a cluster in Envoy; `Limits` counts there, so that here they bound one member. */
export function poolLimitsOf(pool: ConnectionPool | undefined): PoolLimits {
  if (pool === undefined) return defaultPoolLimits;
  const { http1, http2 } = defaultPoolLimits;
  const requestsPerConnectionMax = pool.maxRequestsPerConnection ?? 0;
  const connectionMsMax = pool.maxConnectionDurationMs ?? 0;
  return {
    http1: {
      ...http1,
      requestsPerConnectionMax,
      connectionMsMax,
      connectionsMax: pool.maxConnections ?? http1.connectionsMax,
      pendingMax: pool.maxPendingRequests ?? http1.pendingMax,
      connectTimeoutMs: pool.connectTimeoutMs ?? http1.connectTimeoutMs,
      idleTimeoutMs: pool.httpIdleTimeoutMs ?? http1.idleTimeoutMs,
    },
    http2: {
      ...http2,
      requestsPerConnectionMax,
      connectionMsMax,
      callsMax: pool.maxConcurrentStreams ?? 0,
      idleTimeoutMs: pool.httpIdleTimeoutMs ?? http2.idleTimeoutMs,
      pingEveryMs: pool.http2KeepAlive?.intervalMs ?? http2.pingEveryMs,
      pingTimeoutMs: pool.http2KeepAlive?.timeoutMs ?? http2.pingTimeoutMs,
    },
    keepAlive: pool.keepAlive ?? null,
  };
}

/** Has the system look after a connection while it is silent. */
export function keepAliveOn(socket: Socket, keepAlive: PoolLimits['keepAlive']): void {
  if (keepAlive === null) return;
  const { timeMs = 0, intervalMs = 0, probes = 0 } = keepAlive;
  socket.once('connect', () => {
    socket.setKeepAlive(true, timeMs, intervalMs, probes);
  });
}
