// The routes of a service, and the service and subset that a route names, among those that this workload may call.
import type { Destination as Target } from '#api/traffic/route.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import { failures, type Failure } from '../failures.ts';
import type { CompiledGroup } from '../routing/compiled-route.ts';
import type { RouteIndex } from '../routing/route-index.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Call, Destination } from './destination.ts';
import type { Route, RouteTable } from './routes.ts';

/** What a workload may call. */
export interface Known {
  readonly routes: RouteTable;
  readonly upstreams: Upstreams;
}

/**
 * @param call an exchange, or a connection of bytes
 * @param to where it was going
 * @returns where it goes now, noted with it; a failure where nothing of that name is known
 */
export function routeTo(
  call: Call,
  { routes, upstreams }: Known,
  to: Destination,
  target: Target,
): Extract<Destination, { kind: 'service' }> | Failure {
  if (to.kind === 'service' && target.subset === '' && isSame(to.route, target)) return to;
  const calledPort = to.kind === 'service' ? to.route.port.port : to.port;
  const route = targetOf(routes, target, calledPort);
  const cluster = route === null ? null : upstreams.cluster(route, target.subset);
  if (route === null || cluster === null) {
    const subset = target.subset === '' ? '' : ` subset ${target.subset}`;
    call.details = `cluster_not_found{${target.host}:${target.port || calledPort}${subset}}`;
    return failures['cluster-missing'];
  }
  call.service = route.service;
  call.servicePort = route.port.port;
  return { kind: 'service', route, cluster, protocol: route.port.protocol };
}

function isSame({ service, port }: Route, target: Target): boolean {
  return service.hosts[0] === target.host && (target.port === 0 || target.port === port.port);
}

/** The routes of requests to a service, by whichever of its names they are written; null: nothing is said. */
export function groupOfService(
  routing: RouteIndex,
  { service, port }: Route,
): CompiledGroup | null {
  for (const host of service.hosts) {
    const found = routing.find(host, port.port);
    if (found !== null) return found;
  }
  return null;
}

/** A route that names no port means the called one, or the only one that there is. */
export function targetOf(routes: RouteTable, target: Target, calledPort: number): Route | null {
  const port = target.port === 0 ? calledPort : target.port;
  const found = routes.find(formatAddress(target.host, port), port);
  if (typeof found !== 'string') return found;
  return target.port === 0 ? routes.onlyPort(target.host) : null;
}
