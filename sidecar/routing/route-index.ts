// The routes of a snapshot by host and port, compiled once and asked once for each request.
import type { RouteGroup } from '#api/traffic/route.ts';

import { compileGroup } from './compile-group.ts';
import type { CompiledGroup } from './compiled-route.ts';
import type { RegexFactory } from './regex.ts';

export interface RouteIndex {
  /**
   * The routes of a call; null: nothing is said of it. A host's own before those of a wildcard,
   * those of its port before those of all ports, the first of several.
   * @param host lower-case, fully qualified where it is a Service's
   */
  find(host: string, port: number): CompiledGroup | null;
  readonly empty: boolean;
  /** Routes that are left out, each with the reason. */
  readonly problems: readonly string[];
}

/** Groups of one host. */
interface ByPort {
  allPorts: CompiledGroup | null;
  ports: Map<number, CompiledGroup> | null;
}

/** Groups that only say something of connections are left out: their HTTP goes where it went. */
export function compileRouteIndex(
  groups: readonly RouteGroup[],
  regexes: RegexFactory,
): RouteIndex {
  const exact = new Map<string, ByPort>();
  /** By what follows the `*`: `.example.com`, or nothing. */
  const wild = new Map<string, ByPort>();
  const problems: string[] = [];
  for (const group of groups) {
    if (group.http.length === 0) continue;
    const compiled = compileGroup(group, regexes, (problem) => problems.push(problem));
    for (const host of group.hosts) {
      if (host.startsWith('*')) put(wild, host.slice(1), compiled);
      else put(exact, host, compiled);
    }
  }
  return {
    find: (host, port) =>
      at(exact.get(host), port) ?? (wild.size === 0 ? null : findWild(wild, host, port)),
    empty: exact.size + wild.size === 0,
    problems,
  };
}

function put(byHost: Map<string, ByPort>, host: string, compiled: CompiledGroup): void {
  let entry = byHost.get(host);
  if (entry === undefined) {
    entry = { allPorts: null, ports: null };
    byHost.set(host, entry);
  }
  const { port } = compiled.group;
  if (port === 0) {
    entry.allPorts ??= compiled;
    return;
  }
  entry.ports ??= new Map();
  if (!entry.ports.has(port)) entry.ports.set(port, compiled);
}

function at(entry: ByPort | undefined, port: number): CompiledGroup | null {
  if (entry === undefined) return null;
  return entry.ports?.get(port) ?? entry.allPorts;
}

/** The longest wildcard first. */
function findWild(
  wild: ReadonlyMap<string, ByPort>,
  host: string,
  port: number,
): CompiledGroup | null {
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
    const found = dot === 0 ? null : at(wild.get(host.slice(dot)), port);
    if (found !== null) return found;
  }
  return at(wild.get(''), port);
}
