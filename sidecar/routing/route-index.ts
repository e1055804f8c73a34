// The routes of a snapshot by host and port, compiled once and asked once for each request or connection.
import type { RouteGroup } from '#api/traffic/route.ts';

import { compileGroup } from './compile-group.ts';
import type { CompiledGroup } from './compiled-route.ts';
import { ConnectionRoutes } from './connection-routes.ts';
import { HostTable } from './host-table.ts';
import type { RegexFactory } from './regex.ts';

export interface RouteIndex {
  /**
   * The routes of a call; null: nothing is said of it. A host's own before those of a wildcard,
   * those of its port before those of all ports, the first of several.
   * @param host lower-case, fully qualified where it is a Service's
   */
  find(host: string, port: number): CompiledGroup | null;
  /** As `find`, of connections that are carried as bytes. @param host a service's, or the SNI */
  findConnections(host: string, port: number): ConnectionRoutes | null;
  /** Whether `find`, and `findConnections`, need not be asked. */
  readonly empty: boolean;
  /** Routes that are left out, each with the reason. */
  readonly problems: readonly string[];
}

/** A group says something only of what it has routes for: the rest goes where it would go without it. */
export function compileRouteIndex(
  groups: readonly RouteGroup[],
  regexes: RegexFactory,
): RouteIndex {
  const requests = new HostTable<CompiledGroup>();
  const connections = new HostTable<ConnectionRoutes>();
  const problems: string[] = [];
  for (const group of groups) {
    const { hosts, port, http, tls, tcp } = group;
    if (http.length > 0) {
      const compiled = compileGroup(group, regexes, (problem) => problems.push(problem));
      for (const host of hosts) requests.add(host, port, compiled);
    }
    if (tls.length + tcp.length > 0) {
      const compiled = new ConnectionRoutes(group);
      for (const host of hosts) connections.add(host, port, compiled);
    }
  }
  return {
    find: (host, port) => requests.find(host, port),
    findConnections: (host, port) => connections.find(host, port),
    empty: requests.empty && connections.empty,
    problems,
  };
}
