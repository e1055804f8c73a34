// The service and subset that a route names, among those that this workload may call.
import type { Destination as Target } from '#api/traffic/route.ts';

import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { formatAddress } from '../upstream/member.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Destination } from './destination.ts';
import type { Route, RouteTable } from './routes.ts';

/** @returns where the call goes now, noted with it; a failure where nothing of that name is known */
export function routeTo(
  x: Exchange,
  upstreams: Upstreams,
  target: Target,
): Extract<Destination, { kind: 'service' }> | Failure {
  const { to, enforced } = x;
  if (to === null || enforced === null) return failures.internal;
  if (to.kind === 'service' && target.subset === '' && isSame(to.route, target)) return to;
  const calledPort = to.kind === 'service' ? to.route.port.port : to.port;
  const route = find(enforced.routes, target, calledPort);
  const cluster = route === null ? null : upstreams.cluster(route, target.subset);
  if (route === null || cluster === null) {
    const subset = target.subset === '' ? '' : ` subset ${target.subset}`;
    x.details = `cluster_not_found{${target.host}:${target.port || calledPort}${subset}}`;
    return failures['cluster-missing'];
  }
  x.service = route.service;
  x.servicePort = route.port.port;
  return { kind: 'service', route, cluster, protocol: route.port.protocol };
}

function isSame({ service, port }: Route, target: Target): boolean {
  return service.hosts[0] === target.host && (target.port === 0 || target.port === port.port);
}

/** A route that names no port means the called one, or the only one that there is. */
export function find(routes: RouteTable, target: Target, calledPort: number): Route | null {
  const port = target.port === 0 ? calledPort : target.port;
  const found = routes.find(formatAddress(target.host, port), port);
  if (typeof found !== 'string') return found;
  return target.port === 0 ? routes.onlyPort(target.host) : null;
}
