// Leaves out what routes say of hosts that earlier ones have taken: of several for a host and port the first counts, whole.
import type { RouteGroup } from '#api/traffic/route.ts';

import { madeFrom, madeOf } from '../made-of.ts';

/** The ports of a host that are taken; 0: all. */
type Taken = Map<string, Set<number>>;

/** @param groups what counts first coming first; those that nothing takes from stay the same objects */
export function withoutShadowed(groups: readonly RouteGroup[]): RouteGroup[] {
  const requests: Taken = new Map();
  const connections: Taken = new Map();
  return groups.flatMap((group) => {
    // Null: it says nothing of them.
    const http = group.http.length > 0 ? take(requests, group) : null;
    const rest = group.tls.length + group.tcp.length > 0 ? take(connections, group) : null;
    const { length } = group.hosts;
    if ((http?.length ?? length) === length && (rest?.length ?? length) === length) return [group];
    const left: RouteGroup[] = [
      ...(http !== null && http.length > 0 ? [{ ...group, hosts: http, tls: [], tcp: [] }] : []),
      ...(rest !== null && rest.length > 0
        ? [{ ...group, key: `${group.key} connections`, hosts: rest, http: [] }]
        : []),
    ];
    return left.map((one) => madeFrom(one, madeOf(group)));
  });
}

/** The hosts that were still free. */
function take(taken: Taken, { hosts, port }: RouteGroup): string[] {
  return hosts.filter((host) => {
    const ports = taken.get(host);
    if (ports === undefined) {
      taken.set(host, new Set([port]));
      return true;
    }
    if (ports.has(0) || ports.has(port)) return false;
    ports.add(port);
    return true;
  });
}
