// All clusters that the workload calls, and the hosts outside the mesh that it has called lately.
import type { OnReadOpts, Socket } from 'node:net';

import type { Svid } from '#runtime/tls/svid.ts';

import type { Route, RouteTable } from '../outbound/routes.ts';
import { HttpPool } from '../wire/http-pool.ts';
import { http1PoolLimits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import { Cluster } from './cluster.ts';
import { formatAddress, openPlain } from './member.ts';
import { OwnPorts } from './own-ports.ts';
import { UpstreamTls } from './tls-context.ts';

/** Pools to hosts outside the mesh; the one not used for longest goes first. */
export const externalPoolsMax = 256;

export class Upstreams {
  /** Nothing outside the mesh leads to these. */
  readonly ownPorts = new OwnPorts();
  readonly #tls: UpstreamTls;
  readonly #clusters = new Map<string, Cluster>();
  /** The same clusters by the routes in force, so that a request costs no key. */
  #byRoute = new Map<Route, Cluster>();
  #routes: readonly Route[] = [];
  readonly #external = new Map<string, HttpPool>();

  constructor(svid: Svid) {
    this.#tls = new UpstreamTls(svid);
  }

  /** Takes the routes of a new snapshot. Connections to endpoints that stay are kept. */
  update({ routes }: RouteTable): void {
    const before = this.#routes;
    this.#routes = routes;
    if (this.#replaceRoutes(before, routes)) return;
    const byRoute = new Map<Route, Cluster>();
    const keys = new Set<string>();
    for (const route of routes) {
      const cluster = this.#clusters.get(route.key) ?? new Cluster(this.#tls);
      cluster.update(route);
      this.#clusters.set(route.key, cluster);
      byRoute.set(route, cluster);
      keys.add(route.key);
    }
    for (const [key, cluster] of this.#clusters) {
      if (keys.has(key)) continue;
      cluster.renew();
      this.#clusters.delete(key);
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

  /** A route of an older snapshot leads to the same cluster while its service exists. */
  cluster(route: Route): Cluster | null {
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
    for (const cluster of this.#clusters.values()) cluster.renew();
    for (const pool of this.#external.values()) pool.close();
    this.#external.clear();
  }

  /** Looks only at the routes that are others, where all lead to the clusters of before. False: they do not. */
  #replaceRoutes(before: readonly Route[], routes: readonly Route[]): boolean {
    // Where two routes share a cluster, which of them counts is for the order of all to say.
    if (before.length !== routes.length || this.#clusters.size !== routes.length) return false;
    const changed: (readonly [Route, Route, Cluster])[] = [];
    for (const [i, route] of routes.entries()) {
      const old = before[i];
      if (old === route) continue;
      const cluster = this.#clusters.get(route.key);
      if (old?.key !== route.key || cluster === undefined) return false;
      changed.push([old, route, cluster]);
    }
    for (const [old, route, cluster] of changed) {
      cluster.update(route);
      this.#byRoute.delete(old);
      this.#byRoute.set(route, cluster);
    }
    return true;
  }

  #forgetOldest(): void {
    for (const [address, pool] of this.#external) {
      pool.close();
      this.#external.delete(address);
      return;
    }
  }
}
