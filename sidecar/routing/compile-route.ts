// Compiles a route for one of its matches.
import type {
  ForwardAction,
  HttpRoute,
  MessageEdits,
  RouteMatch,
  WeightedDestination,
} from '#api/traffic/route.ts';

import type {
  CompiledDestination,
  CompiledForward,
  CompiledRewrite,
  CompiledRoute,
} from './compiled-route.ts';
import { compileCors } from './cors.ts';
import { compileEdits } from './header-edits.ts';
import { compilePathEdit } from './path-edit.ts';
import type { RegexFactory } from './regex.ts';

export function compileRoute(
  route: HttpRoute,
  match: RouteMatch | null,
  regexes: RegexFactory,
): CompiledRoute {
  const { headers, timeoutMs = 0, retry = null, fault = null, mirrors = [], cors } = route;
  const own = headers === undefined ? [] : [headers];
  return {
    route,
    match,
    action: compileAction(route, match, regexes),
    edits: compileEdits([...own, ...ofOnlyDestination(route)]),
    rewrite: compileRewrite(route, match, regexes),
    timeoutMs,
    retry,
    fault,
    mirrors: mirrors.filter(({ percent }) => percent > 0),
    cors: cors === undefined ? null : compileCors(cors, regexes),
  };
}

/**
 * As Istio writes it: edits of a route's only destination come after the route's own, in one list.
 * Those of several are made before the route's.
 */
function ofOnlyDestination({ action }: HttpRoute): MessageEdits[] {
  if (action.kind !== 'forward' || action.destinations.length !== 1) return [];
  return action.destinations.flatMap(({ headers }) => headers ?? []);
}

function compileAction(
  { action }: HttpRoute,
  match: RouteMatch | null,
  regexes: RegexFactory,
): CompiledRoute['action'] {
  if (action.kind === 'respond') return action;
  if (action.kind === 'forward') return compileForward(action);
  const path = action.path === undefined ? null : compilePathEdit(action.path, match, regexes);
  return { kind: 'redirect', redirect: action, path };
}

export function compileForward({ destinations, sticky, session }: ForwardAction): CompiledForward {
  const compiled: CompiledDestination[] = [];
  let totalWeight = 0;
  for (const destination of destinations) {
    if (destination.weight <= 0) continue;
    totalWeight += destination.weight;
    const edits = destinations.length === 1 ? null : editsOf(destination);
    compiled.push({ ...destination, edits, upTo: totalWeight });
  }
  return {
    kind: 'forward',
    destinations: compiled,
    totalWeight,
    sticky: sticky ?? null,
    session: session ?? null,
  };
}

function editsOf({ headers }: WeightedDestination): CompiledDestination['edits'] {
  return headers === undefined ? null : compileEdits([headers]);
}

function compileRewrite(
  { rewrite }: HttpRoute,
  match: RouteMatch | null,
  regexes: RegexFactory,
): CompiledRewrite | null {
  if (rewrite === undefined) return null;
  const path = rewrite.path === undefined ? null : compilePathEdit(rewrite.path, match, regexes);
  return { path, authority: rewrite.authority ?? '' };
}
