// Routes of connections that are carried as bytes: by the server name of the application's own TLS, address and port.
import type { RouteGroup, TcpRoute, TlsRoute } from '#api/traffic/route.ts';
import { containsIp, parseIpBlock, readIp, type IpBlock } from '#policy/match/ip.ts';

import { compileForward } from './compile-route.ts';
import type { CompiledForward } from './compiled-route.ts';
import { HostTable } from './host-table.ts';

export interface CompiledConnectionRoute {
  readonly route: TlsRoute | TcpRoute;
  readonly action: CompiledForward;
}

/** Where a connection was going. */
export interface ConnectionTarget {
  readonly address: string;
  readonly port: number;
}

export class ConnectionRoutes {
  readonly group: RouteGroup;
  private readonly tls: readonly Choice[];
  private readonly tcp: readonly Choice[];

  constructor(group: RouteGroup) {
    this.group = group;
    this.tls = group.tls.flatMap((route) => {
      const compiled = compile(route);
      return route.matches.map((match) => makeChoice(compiled, match, match.sniHosts));
    });
    this.tcp = group.tcp.flatMap((route) => {
      const compiled = compile(route);
      const matches = route.matches.length === 0 ? [{}] : route.matches;
      return matches.map((match) => makeChoice(compiled, match, null));
    });
  }

  /**
   * The first route that matches; null: none does.
   * @param sni lower-case; '' where there is no TLS, or no name in its hello
   */
  route(sni: string, target: ConnectionTarget): CompiledConnectionRoute | null {
    // As Envoy's filter chains: a server name is more specific than none.
    return (sni === '' ? null : first(this.tls, sni, target)) ?? first(this.tcp, sni, target);
  }
}

interface Match {
  readonly subnets?: readonly string[];
  readonly port?: number;
}

/** One match of a route. */
interface Choice {
  readonly compiled: CompiledConnectionRoute;
  /** Null: of every name, and of none. */
  readonly names: HostTable<true> | null;
  /** Null: every address. */
  readonly subnets: readonly IpBlock[] | null;
  /** 0: every port. */
  readonly port: number;
}

function makeChoice(
  compiled: CompiledConnectionRoute,
  { subnets = [], port = 0 }: Match,
  sniHosts: readonly string[] | null,
): Choice {
  let names: HostTable<true> | null = null;
  if (sniHosts !== null) {
    names = new HostTable<true>();
    for (const host of sniHosts) names.add(host.toLowerCase(), 0, true);
  }
  // What is no block is in none: it must not widen the match to every address.
  const blocks = subnets.map(parseIpBlock).filter((block) => block !== null);
  return { compiled, names, subnets: subnets.length === 0 ? null : blocks, port };
}

function compile(route: TlsRoute | TcpRoute): CompiledConnectionRoute {
  const { destinations } = route;
  return { route, action: compileForward({ kind: 'forward', destinations }) };
}

function first(
  choices: readonly Choice[],
  sni: string,
  { address, port }: ConnectionTarget,
): CompiledConnectionRoute | null {
  for (const choice of choices) {
    if (choice.port !== 0 && choice.port !== port) continue;
    if (choice.names !== null && choice.names.find(sni, 0) === null) continue;
    if (choice.subnets !== null && !isIn(choice.subnets, address)) continue;
    return choice.compiled;
  }
  return null;
}

function isIn(subnets: readonly IpBlock[], address: string): boolean {
  const ip = readIp(address);
  return subnets.some((block) => containsIp(block, ip));
}
