import { expect, test } from 'vitest';

import { defaultPoolLimits, poolLimitsOf } from '#sidecar/upstream/pool-limits.ts';

test('without a policy the limits are those of every pool, the very same', () => {
  expect(poolLimitsOf(undefined)).toBe(defaultPoolLimits);
  expect(poolLimitsOf({})).toEqual(defaultPoolLimits);
});

test('every field of a policy reaches the pools of both versions', () => {
  const limits = poolLimitsOf({
    maxConnections: 1,
    connectTimeoutMs: 2,
    maxConnectionDurationMs: 3,
    maxPendingRequests: 4,
    maxRequestsPerConnection: 5,
    httpIdleTimeoutMs: 6,
    maxConcurrentStreams: 7,
    keepAlive: { timeMs: 8 },
    http2KeepAlive: { intervalMs: 9, timeoutMs: 10 },
  });
  expect(limits.http1).toMatchObject({
    connectionsMax: 1,
    connectTimeoutMs: 2,
    connectionMsMax: 3,
    pendingMax: 4,
    requestsPerConnectionMax: 5,
    idleTimeoutMs: 6,
  });
  expect(limits.http2).toMatchObject({
    connectionMsMax: 3,
    requestsPerConnectionMax: 5,
    idleTimeoutMs: 6,
    callsMax: 7,
    pingEveryMs: 9,
    pingTimeoutMs: 10,
  });
  expect(limits.keepAlive).toEqual({ timeMs: 8 });
});
