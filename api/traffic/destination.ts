// How callers treat a service: what DestinationRule, CircuitBreaker and HealthCheck compile to. Zero never means "unset".

export type HashKey =
  | { readonly kind: 'header'; readonly name: string }
  /** `ttlS` left out: a cookie that is not there is not made. 0: a session cookie is made. */
  | {
      readonly kind: 'cookie';
      readonly name: string;
      readonly path?: string;
      readonly ttlS?: number;
      readonly attributes?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'source-ip' };

export type LoadBalancing =
  | { readonly kind: 'least-request' }
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'random' }
  /** The address that the caller asked for, whatever the service's endpoints are. */
  | { readonly kind: 'passthrough' }
  | { readonly kind: 'ring-hash'; readonly key: HashKey; readonly minimumRingSize: number }
  | { readonly kind: 'maglev'; readonly key: HashKey; readonly tableSize: number };

/**
 * Present but empty: nearest first (region, zone, subzone), the next ones as the near ones are ejected. Istio's default
 * wherever outliers are detected.
 */
export interface LocalityBalancing {
  /** Of calls from `from` (`region/zone/subzone`, `*`): percent by place. */
  readonly distribute?: readonly {
    readonly from: string;
    readonly to: Readonly<Record<string, number>>;
  }[];
  /** Region to region. */
  readonly failover?: readonly { readonly from: string; readonly to: string }[];
  /** Labels (or `label=value`) in order of weight: an endpoint that shares more of the first ones is nearer. */
  readonly failoverPriority?: readonly string[];
  /**
   * Regions are levels, whether outliers are detected or not, and callers keep to their zone as far as all endpoints get
   * as many calls. `sizeMin`: with fewer healthy endpoints zones do not matter; left out: they never do.
   */
  readonly zoneAware?: { readonly sizeMin?: number };
}

export interface Warmup {
  readonly durationMs: number;
  /** Percent of its share that a new endpoint begins with. */
  readonly minimumPercent: number;
  readonly aggression: number;
}

/** Each left out: no limit, or Envoy's default. */
export interface ConnectionPool {
  readonly maxConnections?: number;
  readonly connectTimeoutMs?: number;
  readonly maxConnectionDurationMs?: number;
  /** 0: never. */
  readonly tcpIdleTimeoutMs?: number;
  readonly keepAlive?: {
    readonly probes?: number;
    readonly timeMs?: number;
    readonly intervalMs?: number;
  };
  /** PINGs of silent connections of HTTP/2. */
  readonly http2KeepAlive?: { readonly intervalMs?: number; readonly timeoutMs?: number };
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  readonly httpIdleTimeoutMs?: number;
  readonly maxConcurrentStreams?: number;
  readonly h2Upgrade?: 'upgrade' | 'do-not-upgrade';
  readonly useClientProtocol?: boolean;
}

export interface OutlierDetection {
  /** 0: off, each. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly splitLocalOrigin: boolean;
  readonly consecutiveLocalOrigin: number;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
  /** In place of 500 to 599. */
  readonly statuses?: readonly number[];
}

/** TLS to the endpoints. `mesh`: mutual TLS of the mesh, as Istio's ISTIO_MUTUAL. */
export interface UpstreamTlsPolicy {
  readonly mode: 'disable' | 'simple' | 'mutual' | 'mesh';
  /** Files in the sidecar's container. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
  readonly crlFile?: string;
  /** Of a Secret, in place of files. Nothing brings Secrets to sidecars yet: no call can be made. */
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly sni?: string;
  readonly skipVerify?: boolean;
}

/** Traefik's circuit breaker: an expression over what callers saw lately (selvage.dev CircuitBreaker). */
export interface ExpressionBreaker {
  /** `Kind namespace/name`. */
  readonly source: string;
  readonly expression: string;
  readonly checkMs: number;
  readonly fallbackMs: number;
  readonly recoveryMs: number;
  readonly status: number;
}

/** selvage.dev HealthCheck. */
export interface ActiveHealthCheck {
  readonly source: string;
  readonly kind: 'http' | 'tcp' | 'grpc';
  readonly path?: string;
  readonly host?: string;
  readonly grpcService?: string;
  readonly statuses?: readonly (readonly [from: number, to: number])[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

export interface TrafficPolicy {
  readonly balancing?: LoadBalancing;
  readonly locality?: LocalityBalancing;
  readonly warmup?: Warmup;
  readonly pool?: ConnectionPool;
  readonly outlier?: OutlierDetection;
  readonly tls?: UpstreamTlsPolicy;
  /** PROXY protocol written to the endpoint first. */
  readonly proxyProtocol?: 'v1' | 'v2';
  /** The endpoints are forward proxies: each connection of bytes asks for a tunnel to this target first. */
  readonly tunnel?: {
    readonly method: 'CONNECT' | 'POST';
    readonly host: string;
    readonly port: number;
  };
  readonly retryBudget?: {
    readonly percent: number;
    readonly minConcurrency: number;
    readonly intervalMs: number;
  };
  readonly breaker?: ExpressionBreaker;
  readonly healthCheck?: ActiveHealthCheck;
}

export interface SubsetPolicy {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Complete: what it does not say was taken from the host's own. */
  readonly policy: TrafficPolicy;
  readonly ports: Readonly<Record<string, TrafficPolicy>>;
}

/**
 * What one caller's sidecar does for one host. Merged already: of several rules that could count, the one that does. The
 * policy of a service is the one of its first host; else that of the longest wildcard that covers it, `*` last. One that
 * says nothing takes its host out of a wildcard.
 */
export interface DestinationPolicy {
  /** Fully qualified and lower-case, `*.example.com` or `*`: key in deltas. */
  readonly host: string;
  /** `DestinationRule shop/payments`, `MeshConfig`, '' where only kinds of ours say something. */
  readonly source: string;
  readonly policy: TrafficPolicy;
  /** By number of the service's port; whole, in place of `policy`. */
  readonly ports: Readonly<Record<string, TrafficPolicy>>;
  readonly subsets: readonly SubsetPolicy[];
}

/** What Sidecar (networking.istio.io) and the mesh's settings say of calls to hosts that no service has. */
export interface OutboundScope {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly source: string;
}
