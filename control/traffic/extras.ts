// What our own kinds CircuitBreaker and HealthCheck add to the policy of a host.
import type { CircuitBreaker } from '#api/kinds/circuit-breaker.ts';
import type { HealthCheck } from '#api/kinds/health-check.ts';
import { nameOf } from '#api/origin.ts';
import type { ActiveHealthCheck, ExpressionBreaker } from '#api/traffic/destination.ts';
import { statusesOf } from '#api/validate/health-check.ts';

import { millis } from './durations.ts';

export function breakerOf(resource: CircuitBreaker): ExpressionBreaker {
  const { expression, checkPeriod, fallbackDuration, recoveryDuration, responseCode } =
    resource.spec;
  return {
    source: nameOf(resource),
    expression,
    checkMs: millis(checkPeriod) ?? 100,
    fallbackMs: millis(fallbackDuration) ?? 10_000,
    recoveryMs: millis(recoveryDuration) ?? 10_000,
    status: responseCode,
  };
}

export function healthCheckOf(resource: HealthCheck): ActiveHealthCheck {
  const { interval, timeout, healthyThreshold, unhealthyThreshold, http, grpc } = resource.spec;
  const common = {
    source: nameOf(resource),
    intervalMs: millis(interval) ?? 10_000,
    timeoutMs: millis(timeout) ?? 2000,
    healthyThreshold,
    unhealthyThreshold,
  };
  if (http !== undefined) {
    const statuses = http.expectedStatuses.map(statusesOf).filter((range) => range !== null);
    return {
      ...common,
      kind: 'http',
      path: http.path,
      ...(http.host !== '' && { host: http.host }),
      statuses: statuses.length > 0 ? statuses : [[200, 299]],
    };
  }
  if (grpc === undefined) return { ...common, kind: 'tcp' };
  const { serviceName } = grpc;
  return { ...common, kind: 'grpc', ...(serviceName !== '' && { grpcService: serviceName }) };
}
