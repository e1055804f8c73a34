// CircuitBreaker: its host, the expression, the times.
import type { CircuitBreakerSpec } from '../kinds/circuit-breaker.ts';
import type { Finding } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { isFault, parseBreakerExpression } from '../traffic/breaker-expression.ts';
import { wildcardNameFault } from './domain-names.ts';
import { durationFault } from './durations.ts';

export function validateCircuitBreaker({ spec }: Resource<string, CircuitBreakerSpec>): Finding[] {
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    const finding = { severity: 'error', code: 'circuit-breaker-invalid', path, message } as const;
    findings.push(mend === undefined ? finding : { ...finding, mend });
  };
  const host = wildcardNameFault(spec.host);
  if (host !== null) add('spec.host', `host: ${host}`, 'name a Service, or write a whole host');
  const parsed = parseBreakerExpression(spec.expression);
  if (isFault(parsed)) {
    const message = `expression, character ${parsed.at + 1}: ${parsed.fault}`;
    add('spec.expression', message, 'write it as ResponseCodeRatio(500, 600, 0, 600) > 0.25');
  }
  for (const name of ['checkPeriod', 'fallbackDuration', 'recoveryDuration'] as const) {
    const fault = durationFault(spec[name]);
    if (fault !== null) add(`spec.${name}`, `${name}: ${fault}`);
  }
  return findings;
}
