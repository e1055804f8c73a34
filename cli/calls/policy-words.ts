// What a caller does for a service that it calls, in words: one for each part of a policy.
import type {
  ConnectionPool,
  HashKey,
  LoadBalancing,
  OutlierDetection,
  TrafficPolicy,
} from '#api/traffic/destination.ts';

/** Empty: nothing is said, the defaults count. */
export function policyWords(policy: TrafficPolicy): string[] {
  const { balancing, locality, warmup, pool, outlier, tls, proxyProtocol, tunnel } = policy;
  const { retryBudget, breaker, healthCheck } = policy;
  const words = [
    balancing && balancingWords(balancing),
    locality && 'near endpoints first',
    warmup && `new endpoints warm up for ${durationText(warmup.durationMs)}`,
    pool && poolWords(pool),
    outlier && outlierWords(outlier),
    tls && (tls.mode === 'mesh' ? 'mutual TLS of the mesh' : `TLS mode ${tls.mode}`),
    proxyProtocol && `PROXY protocol ${proxyProtocol}`,
    tunnel && `a tunnel to ${tunnel.host}:${tunnel.port} by ${tunnel.method}`,
    retryBudget && `retries are at most ${retryBudget.percent} % of calls`,
    breaker && `no calls for ${durationText(breaker.fallbackMs)} when ${breaker.expression}`,
    healthCheck &&
      `${healthCheck.kind} health check each ${durationText(healthCheck.intervalMs)}, out after ${healthCheck.unhealthyThreshold} failures`,
  ];
  return words.filter((word): word is string => word !== undefined && word !== '');
}

/** `2s`, `500ms`. */
export function durationText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

function balancingWords(balancing: LoadBalancing): string {
  switch (balancing.kind) {
    case 'ring-hash':
    case 'maglev':
      return `${balancing.kind} by ${hashWords(balancing.key)}`;
    case 'passthrough':
      return 'to the address that is called';
    default:
      return balancing.kind.replace('-', ' ');
  }
}

export function hashWords(key: HashKey): string {
  return key.kind === 'source-ip' ? 'source address' : `${key.kind} ${key.name}`;
}

const poolNames = {
  maxConnections: 'connections',
  maxPendingRequests: 'waiting requests',
  maxRequests: 'requests',
  maxRetries: 'retries under way',
  maxRequestsPerConnection: 'requests a connection',
} as const;

function poolWords(pool: ConnectionPool): string {
  const names = Object.keys(poolNames) as (keyof typeof poolNames)[];
  const limits = names.flatMap((name) => {
    const value = pool[name];
    return value === undefined ? [] : [`${value} ${poolNames[name]}`];
  });
  return limits.length === 0 ? '' : `at most ${limits.join(', ')}`;
}

function outlierWords(outlier: OutlierDetection): string {
  const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalOrigin } = outlier;
  const reasons = [
    consecutive5xx > 0 ? `${consecutive5xx} errors` : '',
    consecutiveGatewayErrors > 0 ? `${consecutiveGatewayErrors} gateway errors` : '',
    consecutiveLocalOrigin > 0 ? `${consecutiveLocalOrigin} failed connections` : '',
  ].filter((reason) => reason !== '');
  if (reasons.length === 0) return '';
  return `endpoints out for ${durationText(outlier.baseEjectionMs)} after ${reasons.join(' or ')} in a row`;
}
