// All clusters that the workload calls, and the hosts outside the mesh that it has called lately.
import type { OnReadOpts, Socket } from 'node:net';

import type { Snapshot } from '#api/snapshot.ts';
import type { SubsetPolicy } from '#api/traffic/destination.ts';
import { silentLog, type Log } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import type { Route, RouteTable } from '../outbound/routes.ts';
import { HttpPool } from '../wire/http-pool.ts';
import { http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { Cluster } from './cluster.ts';
import { formatAddress, openPlain } from './member.ts';
import { OwnPorts } from './own-ports.ts';
import { DestinationPolicies, policyOfPort, policyOfSubset, subsetsOf } from './policies.ts';
import { UpstreamTls } from './tls-context.ts';

/** Pools to hosts outside the mesh; the one not used for longest goes first. */
export const externalPoolsMax = 256;

const noLabels: Readonly<Record<string, string>> = Object.freeze({});

export class Upstreams {
  /** Nothing outside the mesh leads to these. */
  readonly ownPorts = new OwnPorts();
  readonly #tls: UpstreamTls;
  readonly #log: Log;
  /** By name; those of subsets too. */
  readonly #clusters = new Map<string, Cluster>();
  /** The same clusters by the routes in force, so that a request costs no key. */
  #byRoute = new Map<Route, Cluster>();
  #routes: readonly Route[] = [];
  readonly #external = new Map<string, HttpPool>();

  constructor(svid: Svid, log: Log = silentLog) {
    this.#tls = new UpstreamTls(svid);
    this.#log = log;
  }

  /** Takes the routes and policies of a new snapshot. Connections to endpoints that stay are kept. */
  update(table: RouteTable, { destinations }: Pick<Snapshot, 'destinations'> = {}): void {
    const byRoute = new Map<Route, Cluster>();
    const present = new Set<string>();
    const policies = new DestinationPolicies(destinations);
    for (const route of table.routes) {
      const policy = policies.find(route.service);
      const { endpoints, port } = route.port;
      const cluster = this.#present(route.key, route.sni, present);
      cluster.update({ endpoints, labels: noLabels, policy: policyOfPort(policy, port) });
      byRoute.set(route, cluster);
      for (const subset of subsetsOf(policy)) this.#updateSubset(route, subset, present);
    }
    for (const [name, cluster] of this.#clusters) {
      if (present.has(name)) continue;
      cluster.close();
      this.#clusters.delete(name);
    }
    this.#byRoute = byRoute;
  }

  /** Every cluster with the route that leads to it, for people. */
  all(): Iterable<readonly [Route, Cluster]> {
    return this.#routes.flatMap((route) => {
      const cluster = this.#byRoute.get(route);
      return cluster === undefined ? [] : [[route, cluster] as const];
    });
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

  #updateSubset(route: Route, subset: SubsetPolicy, present: Set<string>): void {
    const { port, endpoints } = route.port;
    // As Istio names them: `outbound_.8080_.v1_.payments.shop.svc.cluster.local`.
    const sni = route.sni.replace('_._.', `_.${subset.name}_.`);
    const cluster = this.#present(`${route.key}/${subset.name}`, sni, present);
    const { labels } = subset;
    cluster.update({ endpoints, labels, policy: policyOfSubset(subset, port) });
  }

  #present(name: string, sni: string, present: Set<string>): Cluster {
    present.add(name);
    const known = this.#clusters.get(name);
    if (known !== undefined) return known;
    const cluster = new Cluster(name, sni, this.#tls, this.#log);
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
