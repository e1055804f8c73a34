// What a route is compiled to: everything that a request asks of it, ready for use.
import type {
  HttpRoute,
  RedirectAction,
  RespondAction,
  RouteFault,
  RouteGroup,
  RouteMatch,
  RouteMirror,
  RouteRetry,
  SessionPersistence,
  StickyKey,
  WeightedDestination,
} from '#api/traffic/route.ts';

import type { RequestFacts } from '#policy/facts.ts';
import type { CompiledCors } from './cors.ts';
import type { CompiledEdits } from './header-edits.ts';
import type { PathEdit } from './path-edit.ts';

/** The routes of some hosts, to be asked once for each request. */
export interface CompiledGroup {
  readonly group: RouteGroup;
  /** The first route that matches. Null: none does, which is 404 (`route_not_found`, flag NR). */
  route(request: RequestFacts): CompiledRoute | null;
}

/** One match of a route: as in Envoy, a route with three matches is compiled to three. */
export interface CompiledRoute {
  readonly route: HttpRoute;
  /** The match that this one is for; null: the route matches every request. */
  readonly match: RouteMatch | null;
  readonly action: CompiledForward | CompiledRedirect | CompiledRespond;
  /** Of the route; a destination has its own beside. Null: none. */
  readonly edits: CompiledEdits | null;
  readonly rewrite: CompiledRewrite | null;
  /** Of the whole exchange, retries included; 0: none. */
  readonly timeoutMs: number;
  /** Null: the default of the mesh. */
  readonly retry: RouteRetry | null;
  readonly fault: RouteFault | null;
  /** Those with a share above 0. */
  readonly mirrors: readonly RouteMirror[];
  readonly cors: CompiledCors | null;
}

export interface CompiledForward {
  readonly kind: 'forward';
  /** Those that get a share. None: 500. */
  readonly destinations: readonly CompiledDestination[];
  readonly totalWeight: number;
  readonly sticky: StickyKey | null;
  readonly session: SessionPersistence | null;
}

export interface CompiledDestination extends WeightedDestination {
  readonly edits: CompiledEdits | null;
  /** Sum of the weights up to this one, itself included. */
  readonly upTo: number;
}

export interface CompiledRedirect {
  readonly kind: 'redirect';
  readonly redirect: RedirectAction;
  readonly path: PathEdit | null;
}

export interface CompiledRespond extends RespondAction {}

export interface CompiledRewrite {
  readonly path: PathEdit | null;
  /** '' leaves it. */
  readonly authority: string;
}
