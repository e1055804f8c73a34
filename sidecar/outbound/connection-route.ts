// Where bytes go: what a tcp or tls route says of the connection, else where it was going.
import type { Enforced } from '../in-force.ts';
import { failures, type Failure } from '../failures.ts';
import { chooseAny } from '../routing/choose.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Call, Destination } from './destination.ts';
import type { OriginalDestination } from './original-destination.ts';
import { routeTo } from './route-target.ts';

/**
 * @param call notes the service that it goes to
 * @param to where it was going
 * @param sni of the application's own TLS, lower-case; '' without
 * @param original where it connected to
 */
export function routeBytes(
  call: Call,
  { routing, routes, snapshot }: Enforced,
  upstreams: Upstreams,
  to: Destination,
  sni: string,
  original: OriginalDestination,
): Destination | Failure {
  const named = routing.empty ? null : findRoutes(routing, to, sni.toLowerCase());
  const route =
    named?.route(sni.toLowerCase(), { address: original.host, port: original.port }) ?? null;
  if (route === null) {
    const refused = to.kind === 'external' && snapshot.scope?.mode === 'REGISTRY_ONLY';
    return refused ? failures['outside-refused'] : to;
  }
  const chosen = chooseAny(route.action, Math.random());
  if (chosen === null || chosen.invalid !== undefined) {
    call.details = `route_invalid{${chosen?.invalid ?? 'it has no destination'}}`;
    return failures['backend-invalid'];
  }
  return routeTo(call, { routes, upstreams }, to, chosen.destination);
}

function findRoutes(
  routing: Enforced['routing'],
  to: Destination,
  sni: string,
): ReturnType<Enforced['routing']['findConnections']> {
  const port = to.kind === 'service' ? to.route.port.port : to.port;
  const bySni = sni === '' ? null : routing.findConnections(sni, port);
  if (bySni !== null) return bySni;
  if (to.kind === 'external') return routing.findConnections(to.host, port);
  for (const host of to.route.service.hosts) {
    const found = routing.findConnections(host, port);
    if (found !== null) return found;
  }
  return null;
}
