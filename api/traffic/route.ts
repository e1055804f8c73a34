// The one route model: what VirtualService, HTTPRoute and GRPCRoute compile to, ready for a caller's sidecar.
import type { Origin } from '../resource.ts';

/** How a text is matched: the whole of it. Regular expressions are RE2's. */
export type TextMatch =
  | { readonly kind: 'exact'; readonly value: string; readonly ignoreCase?: boolean }
  | { readonly kind: 'prefix'; readonly value: string; readonly ignoreCase?: boolean }
  | { readonly kind: 'regex'; readonly value: string };

/** Gateway API's PathPrefix: whole segments, `/a` meets `/a` and `/a/b`, and not `/ab`. */
export interface SegmentsMatch {
  readonly kind: 'segments';
  readonly value: string;
}

/** A header or query parameter. `match` null: it is there, whatever its value. */
export interface NamedMatch {
  /** Of a header lower-case. */
  readonly name: string;
  readonly match: TextMatch | null;
  /** Must not hold; an absent one does not. */
  readonly not?: boolean;
}

/** All that is given must hold. What depends on the caller alone control has already decided. */
export interface RouteMatch {
  readonly name?: string;
  /** Without the query. */
  readonly path?: TextMatch | SegmentsMatch;
  readonly scheme?: TextMatch;
  readonly method?: TextMatch;
  readonly authority?: TextMatch;
  readonly headers?: readonly NamedMatch[];
  readonly query?: readonly NamedMatch[];
}

/** A service by its fully qualified name. */
export interface Destination {
  readonly host: string;
  /** 0: the port that was called, or the only one. */
  readonly port: number;
  /** '' without one. */
  readonly subset: string;
}

export interface HeaderEdits {
  /** Of a destination beside others `:authority` too: the host that it is called by. */
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface MessageEdits {
  readonly request?: HeaderEdits;
  readonly response?: HeaderEdits;
}

export interface WeightedDestination {
  readonly destination: Destination;
  /** Relative to the sum of all; 0: gets nothing. */
  readonly weight: number;
  readonly headers?: MessageEdits;
  /** Why nothing can be sent there (Gateway API: unknown kind, no such Service): its share gets 500. */
  readonly invalid?: string;
}

/** What a call's value is hashed for, so that one caller stays with one destination (NGINX split_clients). */
export type StickyKey =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'source-ip' };

/** A caller stays with the endpoint that answered it first (Gateway API's sessionPersistence). */
export interface SessionPersistence {
  readonly kind: 'cookie' | 'header';
  /** Of a header lower-case. */
  readonly name: string;
  /** A session ends after so long without a call, or since its first one. Left out: it does not. */
  readonly idleS?: number;
  readonly absoluteS?: number;
  /** The cookie outlives the client's process, until `absoluteS`. */
  readonly permanent?: boolean;
}

export interface ForwardAction {
  readonly kind: 'forward';
  /** None: 500, as Gateway API wants it. */
  readonly destinations: readonly WeightedDestination[];
  readonly sticky?: StickyKey;
  readonly session?: SessionPersistence;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: number;
  readonly scheme?: string;
  readonly authority?: string;
  /** 0: none is written. Left out: as called, or the scheme's where the scheme changes. */
  readonly port?: number;
  readonly path?: PathRewrite;
}

export interface RespondAction {
  readonly kind: 'respond';
  readonly status: number;
  readonly body: string;
}

export type PathRewrite =
  /** The whole path; the query stays. */
  | { readonly kind: 'full'; readonly value: string }
  /** The part that the match's prefix met (Istio's `rewrite.uri`); of another match the whole path. */
  | { readonly kind: 'prefix'; readonly value: string }
  /** As `prefix`, by whole segments (Gateway API's ReplacePrefixMatch). */
  | { readonly kind: 'segments'; readonly value: string }
  | { readonly kind: 'regex'; readonly match: string; readonly value: string };

export interface RoutePercentage {
  /** 0 to 100. */
  readonly percent: number;
}

export interface RouteRetry {
  /** Beside the first; 0: none. */
  readonly attempts: number;
  /** 0: what is left of the route's own time. */
  readonly perTryTimeoutMs: number;
  /** Envoy's conditions: `5xx`, `gateway-error`, `reset`, `connect-failure`, `retriable-status-codes` … */
  readonly on: readonly string[];
  readonly statuses: readonly number[];
  /** Of the first wait; 25 ms as Envoy where nothing is said. */
  readonly backoffMs: number;
  readonly previousHosts: 'avoid' | 'allow';
  readonly remoteLocalities?: boolean;
}

export interface RouteFault {
  readonly delay?: RoutePercentage & { readonly delayMs: number };
  readonly abort?: RoutePercentage & { readonly status: number; readonly grpcStatus?: number };
}

export interface RouteMirror extends RoutePercentage {
  readonly destination: Destination;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly TextMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** Left out: no `access-control-max-age`. */
  readonly maxAgeS?: number;
  readonly allowCredentials?: boolean;
  /** Answer preflights that match no origin with 200 and no headers in place of asking upstream. */
  readonly ignoreUnmatchedPreflights?: boolean;
}

export interface HttpRoute {
  /** Envoy's route name, in logs. */
  readonly name: string;
  /** Where it was written: `VirtualService shop/payments` and `spec.http[1]`. */
  readonly source: string;
  readonly path: string;
  /** Of `source`, where it is not the group's: a delegate, or one of several routes of the Gateway API. */
  readonly origin?: Origin;
  /** One of them must hold; none: every request. */
  readonly matches: readonly RouteMatch[];
  readonly action: ForwardAction | RedirectAction | RespondAction;
  readonly rewrite?: { readonly path?: PathRewrite; readonly authority?: string };
  readonly headers?: MessageEdits;
  /** Of the whole exchange, retries included; 0 or left out: none. */
  readonly timeoutMs?: number;
  /** Left out: the default of the mesh. */
  readonly retry?: RouteRetry;
  readonly fault?: RouteFault;
  readonly mirrors?: readonly RouteMirror[];
  readonly cors?: CorsPolicy;
}

/** The routes of some hosts, most specific host first where several name one. */
export interface RouteGroup {
  /** Of deltas: `VirtualService/shop/payments`, `HTTPRoute/shop/payments 8080` … */
  readonly key: string;
  /** Lower-case names, `*.example.com` or `*`; names of Services fully qualified. */
  readonly hosts: readonly string[];
  /** Of the called port; 0: all. */
  readonly port: number;
  /**
   * In order: the first that matches counts. What matches none gets 404. Empty, as `tls` and `tcp`: nothing is said, and
   * the next group of the host and port counts.
   */
  readonly http: readonly HttpRoute[];
  readonly tls: readonly TlsRoute[];
  readonly tcp: readonly TcpRoute[];
  readonly origin?: Origin;
}

/** Of connections whose TLS is the application's own. */
export interface TlsRoute {
  readonly source: string;
  readonly path: string;
  readonly matches: readonly {
    readonly sniHosts: readonly string[];
    readonly subnets?: readonly string[];
    readonly port?: number;
  }[];
  readonly destinations: readonly WeightedDestination[];
}

export interface TcpRoute {
  readonly source: string;
  readonly path: string;
  /** None: every connection. */
  readonly matches: readonly { readonly subnets?: readonly string[]; readonly port?: number }[];
  readonly destinations: readonly WeightedDestination[];
}
