import { expect, test } from 'vitest';

import type { TrafficPolicy } from '#api/traffic/destination.ts';

import { destinations, document, meshOf, rule } from './meshes.ts';

function policy(text: string, ...more: string[]): TrafficPolicy {
  const mesh = meshOf(rule('money/r', `{ host: bank, trafficPolicy: ${text} }`), ...more);
  return destinations(mesh, 'shop')[0]?.policy ?? {};
}

test.each([
  ['{ simple: LEAST_CONN }', { kind: 'least-request' }],
  ['{ simple: LEAST_REQUEST }', { kind: 'least-request' }],
  ['{ simple: ROUND_ROBIN }', { kind: 'round-robin' }],
  ['{ simple: RANDOM }', { kind: 'random' }],
  ['{ simple: PASSTHROUGH }', { kind: 'passthrough' }],
  [
    '{ consistentHash: { httpHeaderName: X-User } }',
    { kind: 'ring-hash', key: { kind: 'header', name: 'x-user' }, minimumRingSize: 1024 },
  ],
  [
    '{ consistentHash: { useSourceIp: true, ringHash: { minimumRingSize: 7 } } }',
    { kind: 'ring-hash', key: { kind: 'source-ip' }, minimumRingSize: 7 },
  ],
  [
    '{ consistentHash: { httpQueryParameterName: q, maglev: {} } }',
    { kind: 'maglev', key: { kind: 'query', name: 'q' }, tableSize: 65_537 },
  ],
  [
    '{ consistentHash: { httpCookie: { name: c }, minimumRingSize: 9 } }',
    { kind: 'ring-hash', key: { kind: 'cookie', name: 'c' }, minimumRingSize: 9 },
  ],
  [
    '{ consistentHash: { httpCookie: { name: c, path: /, ttl: 0s, attributes: [{ name: SameSite, value: Lax }] } } }',
    {
      kind: 'ring-hash',
      key: { kind: 'cookie', name: 'c', path: '/', ttlS: 0, attributes: { SameSite: 'Lax' } },
      minimumRingSize: 1024,
    },
  ],
  ['{ consistentHash: { useSourceIp: false } }', { kind: 'random' }],
])('loadBalancer %s', (text, balancing) => {
  expect(policy(`{ loadBalancer: ${text} }`)).toEqual({ balancing });
});

test('outlierDetection: what is not there is the default, and zero is off only where it can be', () => {
  expect(policy('{ outlierDetection: {} }').outlier).toEqual({
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    splitLocalOrigin: false,
    consecutiveLocalOrigin: 0,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionPercent: 10,
    minHealthPercent: 0,
  });
  const text = `{ outlierDetection: {
    consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true,
    interval: 1s, baseEjectionTime: 2m, maxEjectionPercent: 100, minHealthPercent: 50,
    outlierDetectionHttpErrorCodes: [429, 503] } }`;
  expect(policy(text).outlier).toEqual({
    consecutive5xx: 0,
    consecutiveGatewayErrors: 3,
    splitLocalOrigin: true,
    consecutiveLocalOrigin: 5,
    intervalMs: 1000,
    baseEjectionMs: 120_000,
    maxEjectionPercent: 100,
    minHealthPercent: 50,
    statuses: [429, 503],
  });
});

test('connectionPool: zero is not set, but for a connection that may be silent for ever', () => {
  expect(policy('{ connectionPool: { tcp: {}, http: {} } }')).toEqual({});
  const text = `{ connectionPool: {
    tcp: { maxConnections: 1, connectTimeout: 2s, maxConnectionDuration: 3s, idleTimeout: 0s,
      tcpKeepalive: { probes: 4, time: 5s, interval: 6s } },
    http: { http1MaxPendingRequests: 7, http2MaxRequests: 8, maxRequestsPerConnection: 9,
      maxRetries: 10, idleTimeout: 11s, h2UpgradePolicy: DO_NOT_UPGRADE, useClientProtocol: true,
      maxConcurrentStreams: 12, http2KeepAlive: { interval: 13s, timeout: 14s } } } }`;
  expect(policy(text).pool).toEqual({
    maxConnections: 1,
    connectTimeoutMs: 2000,
    maxConnectionDurationMs: 3000,
    tcpIdleTimeoutMs: 0,
    keepAlive: { probes: 4, timeMs: 5000, intervalMs: 6000 },
    maxPendingRequests: 7,
    maxRequests: 8,
    maxRequestsPerConnection: 9,
    maxRetries: 10,
    httpIdleTimeoutMs: 11_000,
    h2Upgrade: 'do-not-upgrade',
    useClientProtocol: true,
    maxConcurrentStreams: 12,
    http2KeepAlive: { intervalMs: 13_000, timeoutMs: 14_000 },
  });
});

test('tls: the modes, and files that are named', () => {
  expect(policy('{ tls: {} }').tls).toEqual({ mode: 'disable' });
  expect(policy('{ tls: { mode: ISTIO_MUTUAL } }').tls).toEqual({ mode: 'mesh' });
  expect(policy('{ tls: { mode: SIMPLE, sni: a.b, insecureSkipVerify: true } }').tls).toEqual({
    mode: 'simple',
    sni: 'a.b',
    skipVerify: true,
  });
  const text = `{ tls: { mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /a,
    caCrl: /r, subjectAltNames: [x] } }`;
  expect(policy(text).tls).toEqual({
    mode: 'mutual',
    certificateFile: '/c',
    keyFile: '/k',
    caFile: '/a',
    crlFile: '/r',
    subjectAltNames: ['x'],
  });
});

const localityOf = (balancer: string, more = 'outlierDetection: {}', ...docs: string[]): unknown =>
  policy(`{ loadBalancer: ${balancer}, ${more} }`, ...docs).locality;

const localityConfig = (setting: string): string =>
  `kind: MeshConfig\nspec: { localityLbSetting: ${setting} }`;

test('localities matter where outliers are detected, or where shares are given', () => {
  const distribute = '{ distribute: [{ from: a/*, to: { a/*: 80, b/*: 20 } }] }';
  const shares = { distribute: [{ from: 'a/*', to: { 'a/*': 80, 'b/*': 20 } }] };
  expect(localityOf('{}')).toEqual({});
  expect(localityOf('{}', 'tls: {}')).toBeUndefined();
  expect(localityOf(`{ localityLbSetting: ${distribute} }`, 'tls: {}')).toEqual(shares);
  expect(localityOf('{ localityLbSetting: { enabled: false } }')).toBeUndefined();
  const priority = '{ localityLbSetting: { failoverPriority: [rack, "version=v1"] } }';
  expect(localityOf(priority)).toEqual({ failoverPriority: ['rack', 'version=v1'] });
  const failover = '{ localityLbSetting: { failover: [{ from: a, to: b }] } }';
  expect(localityOf(failover)).toEqual({ failover: [{ from: 'a', to: 'b' }] });
  expect(localityOf('{}', 'tls: {}', localityConfig(distribute))).toEqual(shares);
  expect(localityOf('{}', undefined, localityConfig('{ enabled: false }'))).toBeUndefined();
  expect(
    localityOf('{ localityLbSetting: {} }', undefined, localityConfig('{ enabled: false }')),
  ).toEqual({});
});

const zones = (text: string, more = ''): unknown =>
  localityOf(`{ ${more} zoneAwareLbSetting: { ${text} } }`, 'tls: {}');

test('zones matter whether outliers are detected or not, but not to hashes of callers', () => {
  expect(zones('')).toEqual({ zoneAware: { sizeMin: 6 } });
  expect(zones('enabled: true, minClusterSize: 2, failover: [{ from: a, to: b }]')).toEqual({
    zoneAware: { sizeMin: 2 },
    failover: [{ from: 'a', to: 'b' }],
  });
  expect(zones('failoverPriority: [rack]', 'consistentHash: { useSourceIp: true },')).toEqual({
    zoneAware: {},
    failoverPriority: ['rack'],
  });
  expect(zones('enabled: false')).toBeUndefined();
});

test('the rest of a policy', () => {
  expect(policy('{ loadBalancer: { warmup: { duration: 30s } } }').warmup).toEqual({
    durationMs: 30_000,
    minimumPercent: 10,
    aggression: 1,
  });
  expect(policy('{ loadBalancer: { warmupDurationSecs: 5s } }').warmup?.durationMs).toBe(5000);
  expect(policy('{ proxyProtocol: {} }')).toEqual({ proxyProtocol: 'v1' });
  expect(policy('{ proxyProtocol: { version: V2 } }')).toEqual({ proxyProtocol: 'v2' });
  expect(policy('{ retryBudget: {} }').retryBudget).toEqual({
    percent: 20,
    minConcurrency: 3,
    intervalMs: 0,
  });
  expect(policy('{ tunnel: { targetHost: a.b, targetPort: 1 } }').tunnel).toEqual({
    method: 'CONNECT',
    host: 'a.b',
    port: 1,
  });
});

test('a circuit breaker and a health check say what they are', () => {
  const breaker = `{ host: bank, expression: "LatencyAtQuantileMS(99) > 5", checkPeriod: 1s,
    fallbackDuration: 2s, recoveryDuration: 3s, responseCode: 429 }`;
  const check = '{ host: bank, interval: 1s, timeout: 500ms, grpc: { serviceName: s } }';
  const found = policy(
    '{ tls: {} }',
    document('CircuitBreaker', 'money/b', breaker),
    document('HealthCheck', 'money/h', check),
  );
  expect(found.breaker).toMatchObject({
    checkMs: 1000,
    fallbackMs: 2000,
    recoveryMs: 3000,
    status: 429,
  });
  expect(found.healthCheck).toMatchObject({ kind: 'grpc', grpcService: 's', timeoutMs: 500 });
});
