// A breaker from its resource: the expression parsed once, its refusal made once.
import { breakerHolds, isFault, parseBreakerExpression } from '#api/traffic/breaker-expression.ts';
import type { ExpressionBreaker } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import { failures, type Failure } from '../../failures.ts';
import { Breaker } from './breaker.ts';

/** @returns null for an expression that is none: control lets none through, and calls go on */
export function compileBreaker(
  policy: ExpressionBreaker,
  cluster: string,
  log: Log,
): Breaker | null {
  const { source, expression } = policy;
  const parsed = parseBreakerExpression(expression);
  if (isFault(parsed)) {
    log.error({ cluster, source, expression, ...parsed }, 'circuit breaker ignored');
    return null;
  }
  return new Breaker(
    policy,
    (measure) => breakerHolds(parsed, measure),
    (state) =>
      log[state === 'open' ? 'warn' : 'info']({ cluster, source, state }, 'circuit breaker'),
  );
}

/** What callers get while it is open. */
export function refusalOf({ source, status }: ExpressionBreaker): Failure {
  return Object.freeze({
    ...failures.overloaded,
    status,
    details: `circuit_breaker_open{${source}}`,
    body: 'circuit breaker open',
    close: false,
  });
}
