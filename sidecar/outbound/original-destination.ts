// Where an application meant to connect to, and which service of the mesh that is.
import { isIP, type Socket } from 'node:net';

import { formatAddress } from '#runtime/plain-address.ts';

import { splitAuthority, type Found, type Route, type RouteTable } from './routes.ts';

export interface OriginalDestination {
  /** An IP address without brackets, or the name of a service or host. */
  readonly host: string;
  readonly port: number;
}

/** Tells it of an accepted connection; null: it was not captured. */
export type OriginalDestinationOf = (socket: Socket) => OriginalDestination | null;

/**
 * The service by its address or name, or one endpoint of a headless one by the endpoint's address.
 * A port that it does not have leads nowhere by its name, but an address may have more behind it
 * than the mesh knows.
 */
export function findOriginal(routes: RouteTable, original: OriginalDestination): Found {
  const { host, port } = original;
  const found = routes.find(formatAddress(host, port), port);
  if (isRoute(found) || isIP(host) === 0) return found;
  return routes.findEndpoint(host, port) ?? 'unknown-host';
}

/**
 * The service of TLS that is passed through: by its address; where that says nothing, by the server
 * name among the ports that are declared TLS, as Istio matches them.
 */
export function findByServerName(
  routes: RouteTable,
  original: OriginalDestination,
  sni: string,
): Found {
  const found = findOriginal(routes, original);
  if (found !== 'unknown-host' || sni === '') return found;
  const named = routes.find(formatAddress(sni, original.port), original.port);
  return isRoute(named) && named.port.protocol === 'tls' ? named : found;
}

/**
 * The service of a request, as Istio's routes of an HTTP port find it: by its authority among those
 * on the original port, whatever port the authority names. One that is nobody's there means the
 * original destination itself; so does the name of a headless service, of which the caller chose
 * one endpoint.
 * @param own what `findOriginal` says of the original destination
 */
export function findByAuthority(
  routes: RouteTable,
  original: OriginalDestination,
  authority: string,
  own: Found,
): Found {
  const host = splitAuthority(authority)?.host ?? '';
  const named = routes.find(formatAddress(host, original.port), original.port);
  if (!isRoute(named) || !carriesHttp(named)) return own;
  return isRoute(own) && own.key === named.key ? own : named;
}

function isRoute(found: Found): found is Route {
  return typeof found !== 'string';
}

/** A port of bytes has no requests to route. */
function carriesHttp({ port }: Route): boolean {
  return port.protocol !== 'tcp' && port.protocol !== 'tls';
}
