// Which calls are tried again, how often, after how long: Istio's default, or what a route says.
import type { RouteRetry } from '#api/traffic/route.ts';

import type { RequestView, ResponseView, UpstreamPool } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';
import { gatewayStatuses } from '../upstream/outcome.ts';
import { idempotent } from '../wire/call.ts';
import type { UpstreamCall } from '../wire/upstream.ts';

export interface RetryPolicy {
  /** The first one included. */
  readonly attemptsMax: number;
  /** 0: what the exchange has left. */
  readonly perTryTimeoutMs: number;
  /** Of the first wait, which is random below it; each next one may be about twice as long. */
  readonly baseDelayMs: number;
  /** An endpoint that failed is not asked again while there is another. */
  readonly avoidsPrevious: boolean;
  /** Failures of these codes, beside what was certainly not processed. */
  readonly failures: ReadonlySet<FailureCode>;
  /** What was certainly not processed: connections that did not open, and refused streams. */
  readonly connect: boolean;
  readonly refused: boolean;
  readonly statuses: ReadonlySet<number>;
  /** 500 to 599. */
  readonly serverErrors: boolean;
  /** A reset of what may be asked twice (RFC 9110 9.2.2): an endpoint that ends has often not read it. */
  readonly idempotentResets: boolean;
  /** Values of `grpc-status` in the head of an answer. */
  readonly grpcStatuses: ReadonlySet<string>;
}

const grpcNames: Readonly<Record<string, string>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};
const conflict = 409;
/** No answer came, and nobody can say what was done. */
const resets: readonly FailureCode[] = [
  'upstream-reset',
  'upstream-stream-reset',
  'upstream-malformed',
  'upstream-timeout',
];
const defaultBackoffMs = 25;

/**
 * As Istio's since 1.24 (`unavailable` and `cancelled` are gRPC's): two more tries of what was certainly not
 * processed. A 503 is not one of these: it may be of a call that was. Resets of idempotent calls are ours:
 * Istio asks for them by `reset-before-request`, which says no more of what an application has read.
 */
export const defaultRetry: RetryPolicy = Object.freeze({
  ...compile({
    attempts: 2,
    perTryTimeoutMs: 0,
    on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'],
    statuses: [],
    backoffMs: defaultBackoffMs,
    previousHosts: 'avoid',
  }),
  idempotentResets: true,
});

const compiled = new WeakMap<RouteRetry, RetryPolicy>();

/** What a route says of retries; null: the default. */
export function retryPolicyOf(retry: RouteRetry | null): RetryPolicy {
  if (retry === null) return defaultRetry;
  const known = compiled.get(retry);
  if (known !== undefined) return known;
  const policy = compile(retry);
  compiled.set(retry, policy);
  return policy;
}

function compile({ attempts, on, ...retry }: RouteRetry): RetryPolicy {
  const has = (...names: string[]): boolean => names.some((name) => on.includes(name));
  const statuses = new Set(has('retriable-status-codes') ? retry.statuses : []);
  if (has('gateway-error')) for (const status of gatewayStatuses) statuses.add(status);
  if (has('retriable-4xx')) statuses.add(conflict);
  return Object.freeze({
    attemptsMax: attempts + 1,
    perTryTimeoutMs: retry.perTryTimeoutMs,
    baseDelayMs: retry.backoffMs === 0 ? defaultBackoffMs : retry.backoffMs,
    avoidsPrevious: retry.previousHosts === 'avoid',
    failures: new Set(has('5xx', 'gateway-error', 'reset') ? resets : []),
    connect: has('connect-failure', '5xx', 'gateway-error', 'reset', 'reset-before-request'),
    refused: has('refused-stream', '5xx', 'gateway-error', 'reset', 'reset-before-request'),
    statuses,
    idempotentResets: false,
    serverErrors: has('5xx'),
    grpcStatuses: new Set(on.flatMap((name) => grpcNames[name] ?? [])),
  });
}

/** @param untouched the upstream has certainly done nothing with the call */
export function retriesFailure(
  policy: RetryPolicy,
  { method, upgrade }: RequestView,
  code: FailureCode,
  untouched: boolean,
): boolean {
  if (untouched) return code === 'upstream-refused' ? policy.refused : policy.connect;
  if (policy.failures.has(code)) return true;
  const reset = code === 'upstream-reset' || code === 'upstream-stream-reset';
  return reset && upgrade === '' && policy.idempotentResets && idempotent.has(method);
}

export function retriesAnswer(policy: RetryPolicy, response: ResponseView): boolean {
  const { status } = response;
  if (policy.statuses.has(status) || (policy.serverErrors && status >= 500)) return true;
  if (policy.grpcStatuses.size === 0) return false;
  const [grpcStatus] = response.values('grpc-status');
  return grpcStatus !== undefined && policy.grpcStatuses.has(grpcStatus);
}

const growthMax = 10;

/**
 * Envoy's jittered backoff: anything up to the base, three, seven … times the base, ten at most.
 * @param failed attempts until now, from 1
 */
export function retryDelayMs(policy: RetryPolicy, failed: number, random = Math.random()): number {
  return random * policy.baseDelayMs * Math.min(growthMax, 2 ** failed - 1);
}

/** A pool that is asked later; a call that gives up meanwhile never reaches it. */
export function delayed(pool: UpstreamPool, delayMs: number): UpstreamPool {
  let timer: NodeJS.Timeout | null = null;
  return {
    address: pool.address,
    delayMs,
    request(call: UpstreamCall): void {
      timer = setTimeout(() => {
        timer = null;
        pool.request(call);
      }, delayMs);
    },
    cancel(call: UpstreamCall): void {
      if (timer === null) pool.cancel(call);
      else clearTimeout(timer);
    },
    close: () => pool.close(),
  };
}
