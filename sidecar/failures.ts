// The one table of a sidecar's own failures: code -> status, Envoy response flag, details, body.

export interface Failure {
  readonly code: FailureCode;
  /** HTTP status; 0: there is nobody to answer. */
  readonly status: number;
  /** Envoy's response flag, '-' where it has none. */
  readonly flag: string;
  /** Envoy's response code details; a layer may put a more exact text beside it. */
  readonly details: string;
  readonly body: string;
  /** Close the downstream connection after the answer. */
  readonly close: boolean;
  /** What callers of gRPC hear, where it is not what the HTTP status stands for. */
  readonly grpcStatus?: string;
  /** The reason for the access log, where the verdict on the request does not say it. */
  readonly why?: string;
  /** `namespace/name/limit` of the limit that refused. */
  readonly limit?: string;
}

export type FailureCode =
  | 'malformed'
  | 'head-too-large'
  | 'body-too-large'
  | 'body-unreadable'
  | 'answer-unreadable'
  | 'not-cached'
  | 'filter-failed'
  | 'path-refused'
  | 'host-missing'
  | 'version-unsupported'
  | 'upgrade-refused'
  | 'target-refused'
  | 'denied'
  | 'authorizer-denied'
  | 'authorizer-failed'
  | 'token-refused'
  | 'audience-refused'
  | 'keys-unavailable'
  | 'rate-limited'
  | 'limiter-failed'
  | 'key-refused'
  | 'exchange-refused'
  | 'exchange-failed'
  | 'route-missing'
  | 'route-unmatched'
  | 'cluster-missing'
  | 'backend-invalid'
  | 'outside-refused'
  | 'fault-injected'
  | 'endpoint-missing'
  | 'upstream-connect'
  | 'upstream-tls'
  | 'upstream-reset'
  | 'upstream-stream-reset'
  | 'upstream-refused'
  | 'upstream-malformed'
  | 'upstream-timeout'
  | 'connect-timeout'
  | 'request-timeout'
  | 'downstream-gone'
  | 'overloaded'
  | 'draining'
  | 'internal';

const rows: readonly (readonly [FailureCode, number, string, string, string, boolean])[] = [
  ['malformed', 400, 'DPE', 'http1.codec_error', 'Bad Request', true],
  ['head-too-large', 431, 'DPE', 'http1.headers_too_large', '', true],
  ['body-too-large', 413, '-', 'request_payload_too_large', 'Payload Too Large', true],
  // A transformation was to edit it, and could not.
  ['body-unreadable', 400, '-', 'request_body_unreadable', '', false],
  ['answer-unreadable', 502, '-', 'response_body_unreadable', 'answer not transformed', false],
  // `Cache-Control: only-if-cached` (RFC 9111 section 5.2.1.7).
  ['not-cached', 504, '-', 'response_not_in_cache', 'not in the cache', false],
  // The user's own code threw, was late or gave what cannot be used.
  ['filter-failed', 500, '-', 'filter_failed', 'filter failed', false],
  ['path-refused', 400, '-', 'path_normalization_failed', '', false],
  ['host-missing', 400, '-', 'missing_host_header', '', false],
  ['version-unsupported', 426, 'DPE', 'low_version', '', true],
  ['upgrade-refused', 403, '-', 'upgrade_failed', '', false],
  ['target-refused', 404, '-', 'absolute_path_rejected', '', false],
  ['denied', 403, '-', 'rbac_access_denied_matched_policy[none]', 'RBAC: access denied', false],
  ['authorizer-denied', 403, 'UAEX', 'ext_authz_denied', '', false],
  ['authorizer-failed', 403, 'UAEX', 'ext_authz_error', '', false],
  ['token-refused', 401, '-', 'jwt_authn_access_denied', 'Jwt verification fails', false],
  [
    'audience-refused',
    403,
    '-',
    'jwt_authn_access_denied',
    'Audiences in Jwt are not allowed',
    false,
  ],
  ['keys-unavailable', 401, '-', 'jwt_authn_access_denied', 'Jwks remote fetch is failed', false],
  ['rate-limited', 429, 'RL', 'local_rate_limited', 'Too Many Requests', false],
  ['limiter-failed', 503, 'RLSE', 'rate_limiter_error', 'rate limiter unavailable', false],
  ['key-refused', 401, '-', 'unknown_api_key', 'API key unknown', false],
  // The token endpoint said no, or nothing that could be used.
  ['exchange-refused', 502, '-', 'token_exchange_refused', 'token exchange refused', false],
  ['exchange-failed', 503, '-', 'token_exchange_failed', 'token exchange failed', false],
  ['route-missing', 502, 'NR', 'route_not_found', '', false],
  // A route names the host, and none of its matches the request.
  ['route-unmatched', 404, 'NR', 'route_not_found', '', false],
  ['cluster-missing', 503, 'NC', 'cluster_not_found', '', false],
  ['backend-invalid', 500, '-', 'direct_response', '', false],
  // What is no service of the mesh, where only such may be called (REGISTRY_ONLY).
  ['outside-refused', 502, '-', 'direct_response', '', false],
  ['fault-injected', 503, 'FI', 'fault_filter_abort', 'fault filter abort', false],
  ['endpoint-missing', 503, 'UH', 'no_healthy_upstream', 'no healthy upstream', false],
  [
    'upstream-connect',
    503,
    'UF',
    'upstream_reset_before_response_started{remote_connection_failure}',
    'upstream connect error',
    false,
  ],
  [
    'upstream-tls',
    503,
    'UF',
    'upstream_reset_before_response_started{remote_connection_failure|TLS_error}',
    'upstream TLS error',
    false,
  ],
  [
    'upstream-reset',
    503,
    'UC',
    'upstream_reset_before_response_started{connection_termination}',
    'upstream reset before response',
    false,
  ],
  // The connection lives on: it was this call that the upstream gave up.
  [
    'upstream-stream-reset',
    503,
    'UR',
    'upstream_reset_before_response_started{remote_reset}',
    'upstream reset before response',
    false,
  ],
  [
    'upstream-refused',
    503,
    'UR',
    'upstream_reset_before_response_started{remote_refused_stream_reset}',
    'upstream reset before response: the request was refused unprocessed',
    false,
  ],
  [
    'upstream-malformed',
    502,
    'UPE',
    'upstream_reset_before_response_started{protocol_error}',
    'upstream protocol error',
    false,
  ],
  ['upstream-timeout', 504, 'UT', 'response_timeout', 'upstream request timeout', false],
  [
    'connect-timeout',
    503,
    'UF',
    'upstream_reset_before_response_started{connection_timeout}',
    'upstream connect timeout',
    false,
  ],
  ['request-timeout', 408, 'DT', 'request_overall_timeout', 'request timeout', true],
  ['downstream-gone', 0, 'DC', 'downstream_remote_disconnect', '', true],
  ['overloaded', 503, 'UO', 'overload', 'overloaded', true],
  ['draining', 503, '-', 'draining', 'draining', true],
  // A layer threw: a fault of ours. The call is refused, never let through.
  ['internal', 500, '-', 'internal_error', 'internal error', true],
];

/** RESOURCE_EXHAUSTED, where 429 of a proxy that says nothing else stands for UNAVAILABLE. */
const grpcStatuses: Partial<Record<FailureCode, { grpcStatus: string }>> = {
  'rate-limited': { grpcStatus: '8' },
};

/** Every failure by its code. */
export const failures = Object.freeze(
  Object.fromEntries(
    rows.map(([code, status, flag, details, body, close]) => [
      code,
      Object.freeze({ code, status, flag, details, body, close, ...grpcStatuses[code] }),
    ]),
  ),
) as Readonly<Record<FailureCode, Failure>>;

/** A policy said no, or what policies stand on: a token, a key, an authorizer. */
export const refusedByPolicy: ReadonlySet<FailureCode> = new Set([
  'denied',
  'authorizer-denied',
  'authorizer-failed',
  'token-refused',
  'audience-refused',
  'keys-unavailable',
  'key-refused',
]);
