// One call as a sidecar saw it, for people and for tools: what `why`, `tap` and `record` carry. Heads only, secrets cut.

export interface CallRecord {
  /** When it began: RFC 3339 with milliseconds. */
  readonly at: string;
  /** Whose sidecar tells. */
  readonly reporter: 'inbound' | 'outbound';
  /** Value of `x-selvage-id`: this sidecar refused it or it failed here; '' for all others. */
  readonly id: string;
  /** 32 hex digits; '' without one. */
  readonly traceId: string;
  readonly method: string;
  readonly authority: string;
  /** Values of the query are cut: `/a?token=…`. */
  readonly path: string;
  /** `HTTP/1.1`, `HTTP/2`, `TCP`. */
  readonly protocol: string;
  /** 0: none was sent. */
  readonly status: number;
  /** Envoy's response flags, `-` where all went well. */
  readonly flags: string;
  /** Envoy's response code details. */
  readonly details: string;
  readonly grpcStatus: string;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly source: CallParty;
  readonly destination: CallParty;
  /** The workload's own port inbound, the Service's outbound. */
  readonly port: number;
  /** `payments.payments.svc.cluster.local`; '' where it is none of the mesh. */
  readonly service: string;
  readonly mtls: boolean;
  /** Null: no policy was asked. */
  readonly verdict: 'allow' | 'deny' | null;
  /** One sentence; '' where there is nothing to say. */
  readonly why: string;
  /** `namespace/name`; null without one. */
  readonly policy: string | null;
  readonly rule: number | null;
  /** `file:line` of what decided. */
  readonly place: string | null;
  /** The rule that came nearest, as access logs have it. */
  readonly nearest?: unknown;
  /** What dry-run policies would have said, one sentence each; left out where there are none. */
  readonly dryRun?: readonly string[];
  /** `address:port` of the endpoint; '' without one. */
  readonly endpoint: string;
  readonly attempts: number;
  readonly route: string;
  /** Only where it was asked for. */
  readonly facts?: CallFacts;
}

export interface CallParty {
  readonly namespace: string;
  readonly workload: string;
  /** `spiffe://…`, or `unknown`. */
  readonly principal: string;
}

/** What a verdict is made from, so that it can be made again under other policies. */
export interface CallFacts {
  readonly identities: readonly string[];
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly sni: string;
  readonly scheme: string;
  /** Header lines in order, lower-case names. Values of credentials (authorization, cookie, keys …) are replaced by `(redacted)`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Of a verified token; null without one. */
  readonly token: {
    readonly issuer: string;
    readonly subject: string;
    readonly payload: Readonly<Record<string, unknown>>;
    readonly spaceDelimitedClaims: readonly string[];
  } | null;
}

/** Who calls whom, as one sidecar counted it since it started (`/edges` of its admin endpoint). */
export interface EdgeCount {
  readonly reporter: 'inbound' | 'outbound';
  readonly source: CallParty;
  readonly destination: CallParty;
  readonly service: string;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly security: 'mutual_tls' | 'none' | 'unknown';
  readonly requests: number;
  /** Status of 500 and above, gRPC's failures, and none at all. */
  readonly failures: number;
  /** 401, 403 and 429 that sidecars gave. */
  readonly refusals: number;
  /** Counts of durations: bounds in milliseconds are those of the metrics; one more for what lies above. */
  readonly durations: readonly number[];
}
