// All clusters that the workload calls, and the hosts outside the mesh that it has called lately.
import type { OnReadOpts, Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';

import type { Service, Snapshot } from '#api/snapshot.ts';
import type { SubsetPolicy, TrafficPolicy } from '#api/traffic/destination.ts';
import type { Workload } from '#api/workload.ts';
import { silentLog, type Log } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Route, RouteTable } from '../outbound/routes.ts';
import { HttpPool } from '../wire/http-pool.ts';
import { http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { Cluster } from './cluster.ts';
import type { ClusterUpdate } from './cluster-update.ts';
import { nowhere, placeOf, type OwnPlace } from './locality/place.ts';
import { callersOf } from './locality/zones.ts';
import { OwnPorts } from './own-ports.ts';
import { openPlain } from './member.ts';
import { DestinationPolicies, policyOfPort, policyOfSubset, subsetsOf } from './policies.ts';
import { UpstreamTls } from './tls-context.ts';
import type { CalledNames } from './way.ts';

/** Pools to hosts outside the mesh; the one not used for longest goes first. */
export const externalPoolsMax = 256;

const noLabels: Readonly<Record<string, string>> = Object.freeze({});

type Said = Partial<Pick<Snapshot, 'destinations' | 'workload'>>;

/** What the last snapshot said. */
interface Taken {
  readonly routes: readonly Route[];
  readonly destinations: Snapshot['destinations'];
  readonly workload: Workload | undefined;
  readonly policies: DestinationPolicies;
  /** Two routes lead to one cluster: which of them counts is for the order of all to say. */
  readonly shared: boolean;
}

const nothingTaken: Taken = {
  routes: [],
  destinations: undefined,
  workload: undefined,
  policies: new DestinationPolicies(),
  shared: true,
};

export class Upstreams {
  /** Nothing outside the mesh leads to these. */
  readonly ownPorts = new OwnPorts();
  readonly #tls: UpstreamTls;
  readonly #log: Log;
  readonly #ownAddress: string;
  #own: OwnPlace = nowhere;
  /** By name; those of subsets too. */
  readonly #clusters = new Map<string, Cluster>();
  /** The same clusters by the routes in force, so that a request costs no key. */
  #byRoute = new Map<Route, Cluster>();
  #taken: Taken = nothingTaken;
  readonly #external = new Map<string, HttpPool>();

  /** @param ownAddress of the workload's pod; '': not known */
  constructor(svid: Svid, log: Log = silentLog, ownAddress = '') {
    this.#tls = new UpstreamTls(svid);
    this.#log = log;
    this.#ownAddress = ownAddress;
  }

  /** Takes the routes and policies of a new snapshot. Connections to endpoints that stay are kept. */
  update(table: RouteTable, said: Said = {}): void {
    const { routes } = table;
    const { destinations, workload } = said;
    const before = this.#taken;
    const same = before.destinations === destinations && before.workload === workload;
    const policies = same ? before.policies : new DestinationPolicies(destinations);
    this.#taken = { ...before, routes, destinations, workload, policies };
    const moved = policies.zoneAware && this.#noteOwn(workload);
    if (same && !moved && !before.shared && this.#replaceRoutes(before.routes, routes)) return;
    if (!policies.zoneAware) this.#noteOwn(workload);
    const byRoute = new Map<Route, Cluster>();
    const present = new Set<string>();
    for (const route of routes) byRoute.set(route, this.#takeRoute(route, present));
    for (const [name, cluster] of this.#clusters) {
      if (present.has(name)) continue;
      cluster.close();
      this.#clusters.delete(name);
    }
    this.#byRoute = byRoute;
    this.#taken = { ...this.#taken, shared: new Set(byRoute.values()).size !== routes.length };
  }

  /** Every cluster with the route that leads to it, those of subsets too, for people. */
  *all(): Iterable<readonly [Route, Cluster]> {
    const { routes, policies } = this.#taken;
    for (const route of routes) {
      const names = subsetsOf(policies.find(route.service)).map(({ name }) => name);
      for (const subset of ['', ...names]) {
        const cluster = this.cluster(route, subset);
        if (cluster !== null) yield [route, cluster];
      }
    }
  }

  /**
   * A route of an older snapshot leads to the same cluster while its service exists.
   * @param subset '': all endpoints of the port
   * @returns null for what no service or no policy has
   */
  cluster(route: Route, subset = ''): Cluster | null {
    if (subset !== '') return this.#clusters.get(`${route.key}/${subset}`) ?? null;
    return this.#byRoute.get(route) ?? this.#clusters.get(route.key) ?? null;
  }

  /** Connections in the clear to a host outside the mesh, as Istio's PassthroughCluster. */
  external(host: string, port: number): HttpPool {
    const address = formatAddress(host, port);
    const known = this.#external.get(address);
    const pool =
      known ??
      new HttpPool({
        address,
        connectHttp1: (onread) => this.openExternal(host, port, onread),
        connectHttp2: (onread) => this.openExternal(host, port, onread),
        http1: http1PoolLimits,
        http2: http2Limits,
      });
    // A Map keeps the order of insertion: the first is the one not used for longest.
    if (known !== undefined) this.#external.delete(address);
    this.#external.set(address, pool);
    if (this.#external.size > externalPoolsMax) this.#forgetOldest();
    return pool;
  }

  /** A connection of its own, in the clear; begun, not yet open. */
  openExternal(host: string, port: number, onread?: OnReadOpts): Socket {
    return this.ownPorts.guard(openPlain(host, port, onread));
  }

  /**
   * Uses a new certificate for new connections; those in use end their exchange. Throws, with
   * nothing changed, when the certificate is broken.
   */
  renew(svid: Svid): void {
    this.#tls.renew(svid);
    for (const cluster of this.#clusters.values()) cluster.renew();
  }

  /** Closes idle connections and lets busy ones end. */
  close(): void {
    for (const cluster of this.#clusters.values()) cluster.close();
    for (const pool of this.#external.values()) pool.close();
    this.#external.clear();
  }

  /** The route's own cluster and those of its subsets. */
  #takeRoute(route: Route, present: Set<string>): Cluster {
    const policy = this.#taken.policies.find(route.service);
    const cluster = this.#present(route.key, route.sni, route, present);
    cluster.update(this.#said(route, noLabels, policyOfPort(policy, route.port.port)));
    for (const subset of subsetsOf(policy)) this.#updateSubset(route, subset, present);
    return cluster;
  }

  /**
   * Looks only at the routes that are others, where all lead to the clusters of before: in a large mesh
   * nearly every change is one of endpoints. False: they do not.
   */
  #replaceRoutes(before: readonly Route[], routes: readonly Route[]): boolean {
    if (before.length !== routes.length) return false;
    const changed: (readonly [Route, Route])[] = [];
    for (const [i, route] of routes.entries()) {
      const old = before[i];
      if (old === route) continue;
      if (old === undefined || old.key !== route.key) return false;
      changed.push([old, route]);
    }
    const present = new Set<string>();
    for (const [old, route] of changed) {
      this.#byRoute.delete(old);
      this.#byRoute.set(route, this.#takeRoute(route, present));
    }
    return true;
  }

  #updateSubset(route: Route, subset: SubsetPolicy, present: Set<string>): void {
    // As Istio names them: `outbound_.8080_.v1_.payments.shop.svc.cluster.local`.
    const sni = route.sni.replace('_._.', `_.${subset.name}_.`);
    const cluster = this.#present(`${route.key}/${subset.name}`, sni, route, present);
    cluster.update(this.#said(route, subset.labels, policyOfSubset(subset, route.port.port)));
  }

  #said(
    { service, port }: Route,
    labels: Readonly<Record<string, string>>,
    policy: TrafficPolicy,
  ): ClusterUpdate {
    const { endpoints } = port;
    return { endpoints, labels, resolution: service.resolution, policy, own: this.#own };
  }

  /** The same object while it says the same, so that nobody arranges anew for nothing. @returns whether it is another */
  #noteOwn(workload: Workload | undefined): boolean {
    const { routes, policies } = this.#taken;
    const place = placeOf(workload?.locality ?? this.#ownLocality());
    const own = {
      place,
      labels: workload?.labels ?? {},
      ...(policies.zoneAware &&
        workload !== undefined && { callers: callersOf(workload, place.region, routes) }),
    };
    if (isDeepStrictEqual(own, this.#own)) return false;
    this.#own = own;
    return true;
  }

  /** Pods of a workload share their snapshot, so each finds its own place among the endpoints. */
  #ownLocality(): string | undefined {
    const { routes, destinations } = this.#taken;
    if (this.#ownAddress === '' || destinations === undefined) return undefined;
    for (const { port } of routes) {
      const own = port.endpoints.find(({ address }) => address === this.#ownAddress);
      if (own?.locality !== undefined) return own.locality;
    }
    return undefined;
  }

  #present(name: string, sni: string, { service }: Route, present: Set<string>): Cluster {
    present.add(name);
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    const called = calledNames(service, sni);
    const cluster = new Cluster({ name, called, tls: this.#tls, log: this.#log });
    this.#clusters.set(name, cluster);
    return cluster;
  }

  #forgetOldest(): void {
    for (const [address, pool] of this.#external) {
      pool.close();
      this.#external.delete(address);
      return;
    }
  }
}

/** Names of a service's own, as callers know it. */
function calledNames(service: Service, meshName: string): CalledNames {
  const host = service.hosts[0] ?? service.name;
  return { host, meshName, subjectAltNames: service.subjectAltNames ?? [] };
}
