// Services that a Sidecar does not name, and that routes which it lets be seen lead to: Istio shows them as well.
import type { Service } from '#api/snapshot.ts';
import type { Destination, RouteGroup } from '#api/traffic/route.ts';

import { keepPorts } from './cut-service.ts';

/** By what is seen, then by the routes: callers of one scope share both lists. */
const lists = new WeakMap<readonly Service[], WeakMap<readonly RouteGroup[], readonly Service[]>>();

/**
 * What is seen, then what routes lead to beside it, with the ports that they name. The same list where that is nothing.
 * @param services all that the namespace may see, of which `seen` was cut
 */
export function withRouted(
  seen: readonly Service[],
  services: readonly Service[],
  groups: readonly RouteGroup[],
): readonly Service[] {
  if (groups.length === 0) return seen;
  let known = lists.get(seen);
  if (known === undefined) lists.set(seen, (known = new WeakMap()));
  let list = known.get(groups);
  if (list === undefined) {
    const added = routedTo(seen, services, groups);
    list = added.length === 0 ? seen : [...seen, ...added];
    known.set(groups, list);
  }
  return list;
}

/** As in Istio, what is seen already gets no further ports. */
function routedTo(
  seen: readonly Service[],
  services: readonly Service[],
  groups: readonly RouteGroup[],
): Service[] {
  const ports = new Map<string, Set<number>>();
  for (const { host, port } of groups.flatMap(destinationsOf)) {
    const named = ports.get(host);
    if (named === undefined) ports.set(host, new Set([port]));
    else named.add(port);
  }
  for (const { hosts } of seen) ports.delete(hosts[0] ?? '');
  if (ports.size === 0) return [];
  return services.flatMap((service) => {
    const named = ports.get(service.hosts[0] ?? '');
    if (named === undefined) return [];
    // 0: the port that is called.
    const kept = keepPorts(service, (port) => named.has(0) || named.has(port));
    return kept === null ? [] : [kept];
  });
}

function destinationsOf({ http, tls, tcp }: RouteGroup): Destination[] {
  const requests = http.flatMap(({ action, mirrors = [] }) => [
    ...(action.kind === 'forward' ? action.destinations : []),
    ...mirrors,
  ]);
  const connections = [...tls, ...tcp].flatMap(({ destinations }) => destinations);
  return [...requests, ...connections].map(({ destination }) => destination);
}
