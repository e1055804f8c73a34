// The endpoints of one port of one service, kept across snapshots as long as they exist.
import type { Endpoint } from '#api/snapshot.ts';

import type { Route } from '../outbound/routes.ts';
import { RoundRobin, type Balancer } from './balance.ts';
import { Member } from './member.ts';
import type { UpstreamTls } from './tls-context.ts';

export class Cluster {
  readonly #tls: UpstreamTls;
  readonly #balancer: Balancer<Member> = new RoundRobin();
  #endpoints: readonly Endpoint[] | null = null;
  #members: readonly Member[] = [];

  constructor(tls: UpstreamTls) {
    this.#tls = tls;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** Null: there is no endpoint, or none that is not tried yet. */
  pick(tried: readonly Member[]): Member | null {
    return this.#balancer.pick(this.#members, tried);
  }

  /** Gives this endpoint and no other. */
  only(endpoint: Endpoint): Pick<Cluster, 'pick'> {
    const key = keyOf(endpoint);
    const member = this.#members.find((one) => keyOf(one.endpoint) === key) ?? null;
    return { pick: (tried) => (member === null || tried.includes(member) ? null : member) };
  }

  /** Takes the endpoints of a new snapshot: those that stay keep their connections. */
  update(route: Route): void {
    const { endpoints } = route.port;
    if (endpoints === this.#endpoints) return;
    this.#endpoints = endpoints;
    const before = new Map(this.#members.map((member) => [keyOf(member.endpoint), member]));
    this.#members = endpoints.map((endpoint) => {
      const key = keyOf(endpoint);
      const kept = before.get(key);
      before.delete(key);
      if (kept === undefined) return new Member(endpoint, route.sni, this.#tls);
      kept.endpoint = endpoint;
      return kept;
    });
    // With nowhere else to go a call had better wait: a pod that ends may still take it.
    const others = this.#members.length > 0;
    for (const gone of before.values()) {
      if (others) gone.leave();
      else gone.renew();
    }
  }

  /** New connections for all that follows: the certificate changed, or the service is gone. */
  renew(): void {
    for (const member of this.#members) member.renew();
  }
}

/** What makes an endpoint another one: another identity at the same address is another peer. */
function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port} ${endpoint.identity ?? ''}`;
}
