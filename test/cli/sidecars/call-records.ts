// Records of calls for tests: a denial by default, changed as a test needs it.
import type { CallRecord, EdgeCount } from '#api/call-record.ts';

export const web = {
  namespace: 'shop',
  workload: 'web',
  principal: 'spiffe://cluster.local/ns/shop/sa/web-sa',
};
export const payments = {
  namespace: 'money',
  workload: 'payments',
  principal: 'spiffe://cluster.local/ns/money/sa/payments-sa',
};
export const nobody = { namespace: 'unknown', workload: 'unknown', principal: 'unknown' };

/** web may not POST to payments; the rule that came nearest names billing. */
export function denial(more: Partial<CallRecord> = {}): CallRecord {
  return {
    at: '2026-11-27T14:24:40.935Z',
    reporter: 'inbound',
    id: 'k3f92x7q5m',
    traceId: '06ad36f9d3d2952f55372af1ce825342',
    method: 'POST',
    authority: 'payments.money:8080',
    path: '/charges',
    protocol: 'HTTP/2',
    status: 403,
    flags: '-',
    details: 'rbac_access_denied_matched_policy[none]',
    grpcStatus: '',
    durationMs: 0.778,
    requestBytes: 0,
    responseBytes: 19,
    source: web,
    destination: payments,
    port: 8080,
    service: '',
    mtls: true,
    verdict: 'deny',
    why: 'denied: no rule of the one ALLOW policy that applies matches; nearest is money/admit rule 0 (shop.yaml:32): from.source.principals is x, not y',
    policy: null,
    rule: null,
    place: null,
    nearest: {
      policy: 'money/admit',
      rule: 0,
      at: 'shop.yaml:32',
      matched: ['to.operation.methods'],
      missed: [
        {
          field: 'from.source.principals',
          wanted: ['cluster.local/ns/shop/sa/billing-sa'],
          got: 'cluster.local/ns/shop/sa/web-sa',
          at: 'shop.yaml:34',
        },
      ],
    },
    endpoint: '',
    attempts: 0,
    route: 'default',
    ...more,
  };
}

/** An answer of the application. */
export function answered(more: Partial<CallRecord> = {}): CallRecord {
  const { nearest: _nearest, ...rest } = denial();
  return {
    ...rest,
    id: '',
    status: 200,
    details: 'via_upstream',
    verdict: 'allow',
    why: 'allowed by money/admit rule 0 (shop.yaml:32)',
    policy: 'money/admit',
    rule: 0,
    place: 'shop.yaml:32',
    ...more,
  };
}

/** A failure that the caller's sidecar made. */
export function failure(more: Partial<CallRecord> = {}): CallRecord {
  const details = 'upstream_reset_before_response_started{connection_failure}';
  return {
    ...answered(),
    reporter: 'outbound',
    id: 'q000000001',
    status: 503,
    flags: 'UF',
    details,
    verdict: null,
    why: `upstream-connect: ${details}`,
    policy: null,
    rule: null,
    place: null,
    service: 'payments.money.svc.cluster.local',
    endpoint: '10.1.0.7:8080',
    attempts: 3,
    ...more,
  };
}

/** web -> payments. */
export function edge(more: Partial<EdgeCount> = {}): EdgeCount {
  return {
    reporter: 'inbound',
    source: web,
    destination: payments,
    service: '',
    protocol: 'http',
    security: 'mutual_tls',
    requests: 10,
    failures: 0,
    refusals: 0,
    durations: [0, 10],
    ...more,
  };
}
