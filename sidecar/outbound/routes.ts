// Which service a call means: from the host and port that the caller named, looked up by one key.
import type { Endpoint, Service, ServicePort, Snapshot } from '#api/snapshot.ts';

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
export function compileRoutes(snapshot: Snapshot): RouteTable {
  const byKey = new Map<string, Route>();
  const hosts = new Set<string>();
  const routes: Route[] = [];
  for (const service of snapshot.services) {
    const names = namesOf(service, snapshot.workload.namespace);
    const [fqdn = service.name] = names;
    for (const name of names) hosts.add(name);
    for (const port of service.ports) {
      const key = `${fqdn}:${port.port}`;
      const route = { service, port, key, sni: `outbound_.${port.port}_._.${fqdn}` };
      routes.push(route);
      for (const name of names) setOnce(byKey, `${name}:${port.port}`, route);
    }
  }
  let byEndpoint: ReadonlyMap<string, Route> | null = null;
  return {
    routes,
    find: (authority, defaultPort) => find(byKey, hosts, authority, defaultPort),
    onlyPort: (host) => {
      const of = routes.filter(({ service }) => service.hosts[0] === host);
      return of.length === 1 ? (of[0] ?? null) : null;
    },
    findEndpoint: (address, port) => {
      // Made when first asked for: only captured connections ask.
      byEndpoint ??= indexEndpoints(routes);
      return byEndpoint.get(`${address} ${port}`) ?? null;
    },
  };
}

function indexEndpoints(routes: readonly Route[]): Map<string, Route> {
  const byEndpoint = new Map<string, Route>();
  for (const route of routes) {
    if (route.service.addresses.length > 0) continue;
    for (const endpoint of route.port.endpoints) {
      setOnce(byEndpoint, `${endpoint.address} ${endpoint.port}`, { ...route, endpoint });
    }
  }
  return byEndpoint;
}

/** Lower-case authorities with a port are keys as they are: the usual call costs one lookup. */
function find(
  byKey: ReadonlyMap<string, Route>,
  hosts: ReadonlySet<string>,
  authority: string,
  defaultPort: number,
): Found {
  const direct = byKey.get(authority);
  if (direct !== undefined) return direct;
  const parts = splitAuthority(authority);
  if (parts === null) return 'unknown-host';
  const { host, port } = parts;
  const route = byKey.get(`${host}:${port === 0 ? defaultPort : port}`);
  return route ?? (hosts.has(host) ? 'unknown-port' : 'unknown-host');
}

/** All names of a service, the fully qualified one first, lower-cased. */
function namesOf(service: Service, ownNamespace: string): string[] {
  const names = new Set(service.hosts.map((host) => host.toLowerCase()));
  // Names that only mean something inside a namespace, as the resolver's search list makes them.
  if (isKubernetes(service)) {
    names.add(`${service.name}.${service.namespace}`);
    names.add(`${service.name}.${service.namespace}.svc`);
    if (service.namespace === ownNamespace) names.add(service.name);
  }
  for (const address of service.addresses) names.add(address.toLowerCase());
  return [...names];
}

/** A Service has `name.namespace.svc.…`; the hosts of a ServiceEntry are names of elsewhere. */
function isKubernetes(service: Service): boolean {
  const prefix = `${service.name}.${service.namespace}.svc.`;
  return service.hosts[0]?.toLowerCase().startsWith(prefix) === true;
}

/** Two services may claim a name; the first in the snapshot's stable order keeps it. */
function setOnce(byKey: Map<string, Route>, key: string, route: Route): void {
  if (!byKey.has(key)) byKey.set(key, route);
}
