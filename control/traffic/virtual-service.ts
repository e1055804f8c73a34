// A VirtualService as route groups, for each kind of caller that it tells apart.
import { meshGateway, type SourceMatch, type VirtualService } from '#api/kinds/virtual-service.ts';
import type { DestinationSpec, HttpRuleMatch } from '#api/kinds/virtual-service-http.ts';
import { nameOf } from '#api/origin.ts';
import { fullHost, isWildcard } from '#api/traffic/host.ts';
import type {
  HttpRoute,
  RouteGroup,
  RouteMatch,
  TcpRoute,
  TlsRoute,
  WeightedDestination,
} from '#api/traffic/route.ts';
import { countsInMesh } from '#api/validate/virtual-service.ts';
import { stickyOf } from '#api/validate/sticky.ts';
import type { Workload } from '#api/workload.ts';
import { selectsLabels } from '#policy/attach.ts';

import { madeFrom } from '../made-of.ts';
import { type Delegates, rulesWithDelegates, type WrittenRule } from './delegate.ts';
import { originWithin } from './parts.ts';
import {
  compileMatch,
  type CompiledRule,
  compileRule,
  destinationOf,
  matchesAll,
} from './virtual-service-rule.ts';

/** Who calls, as far as routes tell callers apart. */
export type Caller = Pick<Workload, 'namespace' | 'labels'>;

/** A match, split into what control decides and what the sidecar does. */
interface SourcedMatch<M> {
  readonly source: SourceMatch;
  /** 0: every port. */
  readonly port: number;
  readonly match: M;
}

interface HttpProgram {
  readonly rule: CompiledRule;
  readonly source: string;
  readonly path: string;
  readonly origin: HttpRoute['origin'];
  /** None: every request. */
  readonly matches: readonly SourcedMatch<RouteMatch>[];
}

interface ConnectionProgram<R extends TlsRoute | TcpRoute> {
  readonly route: Omit<R, 'matches'>;
  readonly matches: readonly SourcedMatch<R['matches'][number]>[];
}

export class VirtualServiceProgram {
  readonly resource: VirtualService;
  /** All that it was made of. */
  readonly inputs: readonly VirtualService[];
  /** Sidecars go by it at all. */
  readonly inMesh: boolean;
  readonly #hosts: readonly string[];
  readonly #http: readonly HttpProgram[];
  readonly #tls: readonly ConnectionProgram<TlsRoute>[];
  readonly #tcp: readonly ConnectionProgram<TcpRoute>[];
  readonly #sources: readonly SourceMatch[];
  /** By which of the sources are the caller's: callers that are told apart by none share the groups. */
  readonly #groups = new Map<string, readonly RouteGroup[]>();

  constructor(resource: VirtualService, delegates: Delegates) {
    const { spec, metadata } = resource;
    this.resource = resource;
    this.inputs = [resource, ...delegates.values()];
    this.inMesh = countsInMesh(spec) && spec.hosts.length > 0;
    this.#hosts = [...new Set(spec.hosts.map((host) => fullHost(host, metadata.namespace)))];
    this.#http = rulesWithDelegates(resource, delegates).map((one) => httpProgram(one, resource));
    this.#tls = spec.tls.map(({ match = [], route }, i) => ({
      route: connection(resource, `spec.tls[${i}]`, route),
      matches: match.map((one) => sourced(one, { ...subnets(one), ...server(one) })),
    }));
    this.#tcp = spec.tcp.map(({ match = [], route }, i) => ({
      route: connection(resource, `spec.tcp[${i}]`, route),
      matches: match.map((one) => sourced(one, subnets(one))),
    }));
    this.#sources = [...this.#http, ...this.#tls, ...this.#tcp]
      .flatMap(({ matches }): readonly SourcedMatch<unknown>[] => matches)
      .map(({ source }) => source)
      .filter(tellsApart);
  }

  /** Whether there are callers that it treats differently. */
  get tellsApart(): boolean {
    return this.#sources.length > 0;
  }

  /** A text that callers share whom it does not tell apart. */
  kindOf(caller: Caller): string {
    return this.#sources.map((source) => (isFrom(source, caller) ? '1' : '0')).join('');
  }

  /** The same groups for callers that it does not tell apart. */
  groupsFor(caller: Caller): readonly RouteGroup[] {
    const key = this.kindOf(caller);
    let groups = this.#groups.get(key);
    if (groups === undefined) {
      groups = this.#build(caller);
      this.#groups.set(key, groups);
    }
    return groups;
  }

  #build(caller: Caller): RouteGroup[] {
    const { kind, metadata, origin } = this.resource;
    const name = `${kind}/${metadata.namespace}/${metadata.name}`;
    const tls = this.#tls.flatMap((one) => connectionRoutes(one, caller));
    const tcp = this.#tcp.flatMap((one) => connectionRoutes(one, caller));
    const ports = new Set(
      this.#http
        .flatMap(({ matches }) => matches.map(({ port }) => port))
        .filter((port) => port > 0),
    );
    const parts = [...[...ports].toSorted((a, b) => a - b), 0].flatMap((port) => {
      const http = this.#httpFor(caller, port);
      const rest = port === 0 ? { tls, tcp } : { tls: [], tcp: [] };
      const empty = http.length + rest.tls.length + rest.tcp.length === 0;
      return empty ? [] : [{ port, http, ...rest, ...(origin !== undefined && { origin }) }];
    });
    const exact = this.#hosts.filter((host) => !isWildcard(host));
    const several = [
      ...(exact.length > 0 ? [{ suffix: '', hosts: exact }] : []),
      ...this.#hosts.filter(isWildcard).map((host) => ({ suffix: ` ${host}`, hosts: [host] })),
    ];
    return several.flatMap(({ suffix, hosts }) =>
      parts.map((part) => {
        const key = `${name}${suffix}${part.port === 0 ? '' : ` ${part.port}`}`;
        return madeFrom({ key, hosts, ...part }, this.inputs);
      }),
    );
  }

  /** What comes after a rule that takes everything is left out: nothing reaches it. */
  #httpFor(caller: Caller, port: number): HttpRoute[] {
    const routes: HttpRoute[] = [];
    for (const { rule, source, path, origin, matches: all } of this.#http) {
      const matches: RouteMatch[] = [];
      let takesAll = all.length === 0;
      for (const one of all) {
        if ((one.port !== 0 && one.port !== port) || !isFrom(one.source, caller)) continue;
        matches.push(one.match);
        takesAll = matchesAll(one.match);
        if (takesAll) break;
      }
      if (matches.length === 0 && all.length > 0) continue;
      const written = origin === undefined ? {} : { origin };
      routes.push({ ...rule, source, path, matches, ...written });
      if (takesAll) break;
    }
    return routes;
  }
}

function httpProgram({ rule, of, index }: WrittenRule, root: VirtualService): HttpProgram {
  const path = `spec.http[${index}]`;
  const sticky = stickyOf(of.metadata.annotations) ?? stickyOf(root.metadata.annotations);
  return {
    rule: compileRule(rule, sticky),
    source: nameOf(of),
    path,
    // Of its own file; the group has that of the root.
    origin: of === root || of.origin === undefined ? undefined : originWithin(of.origin, path),
    matches: (rule.match ?? []).map((one: HttpRuleMatch) => sourced(one, compileMatch(one))),
  };
}

function sourced<M>(written: SourceMatch & { readonly port?: number }, match: M): SourcedMatch<M> {
  const { sourceLabels, sourceNamespace, gateways, port = 0 } = written;
  return { source: { sourceLabels, sourceNamespace, gateways }, port, match };
}

function tellsApart(source: SourceMatch): boolean {
  const { sourceLabels = {}, sourceNamespace = '', gateways = [] } = source;
  return Object.keys(sourceLabels).length > 0 || sourceNamespace !== '' || gateways.length > 0;
}

/** As in Istio: a match that names gateways asks nothing else of the caller. */
export function isFrom(source: SourceMatch, caller: Caller): boolean {
  const { sourceLabels = {}, sourceNamespace = '', gateways = [] } = source;
  if (gateways.length > 0) return gateways.includes(meshGateway);
  return (
    selectsLabels(sourceLabels, caller.labels) &&
    (sourceNamespace === '' || sourceNamespace === caller.namespace)
  );
}

interface ConnectionMatch {
  readonly sniHosts?: readonly string[];
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
}

function server({ sniHosts = [] }: ConnectionMatch): { sniHosts: readonly string[] } {
  return { sniHosts: sniHosts.map((name) => name.toLowerCase()) };
}

function subnets({ destinationSubnets = [], port = 0 }: ConnectionMatch): {
  subnets?: readonly string[];
  port?: number;
} {
  return {
    ...(destinationSubnets.length > 0 && { subnets: destinationSubnets }),
    ...(port > 0 && { port }),
  };
}

function connection(
  resource: VirtualService,
  path: string,
  route: readonly { destination?: DestinationSpec; weight?: number }[] = [],
): { source: string; path: string; destinations: WeightedDestination[] } {
  const { namespace } = resource.metadata;
  const destinations = route.flatMap(({ destination, weight = 0 }) => {
    if (destination === undefined) return [];
    const host = fullHost(destination.host, namespace);
    const share = route.length === 1 ? 1 : weight;
    return [{ destination: destinationOf({ ...destination, host }), weight: share }];
  });
  return { source: nameOf(resource), path, destinations };
}

function connectionRoutes<R extends TlsRoute | TcpRoute>(
  { route, matches: all }: ConnectionProgram<R>,
  caller: Caller,
): (Omit<R, 'matches'> & { matches: R['matches'][number][] })[] {
  const matches = all.filter(({ source }) => isFrom(source, caller)).map(({ match }) => match);
  return matches.length === 0 && all.length > 0 ? [] : [{ ...route, matches }];
}
