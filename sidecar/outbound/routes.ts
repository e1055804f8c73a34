// Which service a call means: from the host and port that the caller named, looked up by one key.
import { isAutomaticAddress } from '#api/automatic-address.ts';
import type { Endpoint, Service, ServicePort, Snapshot } from '#api/snapshot.ts';

import { replaceServices } from './replaced-services.ts';
import { Patterns } from './patterns.ts';

/** Where calls to one port of one service go. Made once per snapshot. */
export interface Route {
  readonly service: Service;
  readonly port: ServicePort;
  /** Fully qualified name and port, `payments.shop.svc.cluster.local:8080`: names its cluster. */
  readonly key: string;
  /** Server name of Istio's mutual TLS: `outbound_.8080_._.payments.shop.svc.cluster.local`. */
  readonly sni: string;
  /** The caller chose this one by its own address. */
  readonly endpoint?: Endpoint;
}

/** `unknown-port`: the host is a service of the mesh, but not with this port. */
export type Found = Route | 'unknown-port' | 'unknown-host';

export interface RouteTable {
  /** Every route, each once. */
  readonly routes: readonly Route[];
  /**
   * @param authority as the caller wrote it: `payments`, `Payments.shop:8080`, `10.0.0.7:80`
   * @param defaultPort of a call that names none: 80 for http
   */
  find(authority: string, defaultPort: number): Found;
  /** The only port of a service; null: there are none, or several. @param host fully qualified */
  onlyPort(host: string): Route | null;
  /** The route to one endpoint of a service without an address (headless), by the endpoint's own. */
  findEndpoint(address: string, port: number): Route | null;
  /**
   * The table of these services where they differ from its own in nothing but what is behind their names: a tenth of the
   * work, since no name is looked at. Null: it must be made anew.
   */
  withServices(services: readonly Service[]): RouteTable | null;
}

/** Where names lead, as positions in the list of routes: it stays true while only endpoints change. */
interface Names {
  readonly byKey: ReadonlyMap<string, number>;
  readonly hosts: ReadonlySet<string>;
  /** Null: no service has a wildcard or a block of addresses. */
  readonly patterns: Patterns | null;
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`, the parts of an authority. */
export interface HostAndPort {
  /** Lower-cased, without brackets or final dot. */
  readonly host: string;
  /** 0: none is named. */
  readonly port: number;
}

const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/]+))(?::(\d{1,5}))?$/i;

/** Splits an authority; null when it is none. */
export function splitAuthority(authority: string): HostAndPort | null {
  const match = AUTHORITY.exec(authority);
  if (match === null) return null;
  const port = match[3] === undefined ? 0 : Number(match[3]);
  if (port > 65_535) return null;
  const host = (match[1] ?? match[2] ?? '').toLowerCase();
  return { host: host.endsWith('.') ? host.slice(0, -1) : host, port };
}

/** Builds the table of a snapshot; services of the workload's own namespace get short names. */
export function compileRoutes({ services, workload }: Snapshot): RouteTable {
  const byKey = new Map<string, number>();
  const hosts = new Set<string>();
  const routes: Route[] = [];
  let patterns: Patterns | null = null;
  for (const service of services) {
    const names = namesOf(service, workload.namespace);
    const [fqdn = service.name] = names;
    for (const name of names) hosts.add(name);
    for (const port of service.ports) {
      const key = `${fqdn}:${port.port}`;
      for (const name of names) {
        setOnce(byKey, `${name}:${port.port}`, routes.length);
        if (!Patterns.isPattern(name)) continue;
        patterns ??= new Patterns();
        patterns.add(name, port.port, routes.length);
      }
      routes.push({ service, port, key, sni: `outbound_.${port.port}_._.${fqdn}` });
    }
  }
  return tableOf(services, routes, { byKey, hosts, patterns });
}

function tableOf(services: readonly Service[], routes: readonly Route[], names: Names): RouteTable {
  let byEndpoint: ReadonlyMap<string, Route> | null = null;
  return {
    routes,
    find: (authority, defaultPort) => find(routes, names, authority, defaultPort),
    onlyPort: (host) => {
      const of = routes.filter(({ service }) => service.hosts[0] === host);
      return of.length === 1 ? (of[0] ?? null) : null;
    },
    findEndpoint: (address, port) => {
      // Made when first asked for: only captured connections ask.
      byEndpoint ??= indexEndpoints(routes);
      return byEndpoint.get(`${address} ${port}`) ?? null;
    },
    withServices: (next) => {
      const replaced = replaceServices(services, next, routes);
      return replaced === null ? null : tableOf(next, replaced, names);
    },
  };
}

function indexEndpoints(routes: readonly Route[]): Map<string, Route> {
  const byEndpoint = new Map<string, Route>();
  for (const route of routes) {
    // Automatic addresses are for names that are looked up: nobody is kept from calling an endpoint by its own.
    if (!route.service.addresses.every(isAutomaticAddress)) continue;
    for (const endpoint of route.port.endpoints) {
      setOnce(byEndpoint, `${endpoint.address} ${endpoint.port}`, { ...route, endpoint });
    }
  }
  return byEndpoint;
}

/** Lower-case authorities with a port are keys as they are: the usual call costs one lookup. */
function find(
  routes: readonly Route[],
  { byKey, hosts, patterns }: Names,
  authority: string,
  defaultPort: number,
): Found {
  const direct = routes[byKey.get(authority) ?? -1];
  if (direct !== undefined) return direct;
  const parts = splitAuthority(authority);
  if (parts === null) return 'unknown-host';
  const { host, port } = parts;
  const asked = port === 0 ? defaultPort : port;
  const route = routes[byKey.get(`${host}:${asked}`) ?? -1];
  if (route !== undefined) return route;
  if (hosts.has(host)) return 'unknown-port';
  return routes[patterns?.find(host, asked) ?? -1] ?? 'unknown-host';
}

/** Names and addresses of a service, the fully qualified name first, lower-cased. */
function namesOf(service: Service, ownNamespace: string): string[] {
  const names = new Set(hostsOf(service, ownNamespace));
  for (const address of service.addresses) names.add(address.toLowerCase());
  return [...names];
}

/** All names of a service to callers of a namespace, the fully qualified one first, lower-cased. */
export function hostsOf(service: Service, ownNamespace: string): ReadonlySet<string> {
  const names = new Set(service.hosts.map((host) => host.toLowerCase()));
  // Names that only mean something inside a namespace, as the resolver's search list makes them.
  if (isKubernetes(service)) {
    names.add(`${service.name}.${service.namespace}`);
    names.add(`${service.name}.${service.namespace}.svc`);
    if (service.namespace === ownNamespace) names.add(service.name);
  }
  return names;
}

/** A Service has `name.namespace.svc.…`; the hosts of a ServiceEntry are names of elsewhere. */
export function isKubernetes(service: Service): boolean {
  const prefix = `${service.name}.${service.namespace}.svc.`;
  return service.hosts[0]?.toLowerCase().startsWith(prefix) === true;
}

/** Two services may claim a name; the first in the snapshot's stable order keeps it. */
function setOnce<T>(byKey: Map<string, T>, key: string, route: T): void {
  if (!byKey.has(key)) byKey.set(key, route);
}
