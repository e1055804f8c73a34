// The endpoints of one port of one service, or of a subset of it, kept across snapshots as long as they exist.
import { isDeepStrictEqual } from 'node:util';

import type { Endpoint } from '#api/snapshot.ts';
import type { HashKey, TrafficPolicy } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import type { FailureCode } from '../failures.ts';
import type { Balancer } from './balance/balancer.ts';
import { hashKeyOf, newBalancer } from './balance/choose.ts';
import { Member, type MemberOwner } from './member.ts';
import { Ejections } from './outlier/ejections.ts';
import type { Outcome } from './outcome.ts';
import { noPolicy } from './policies.ts';
import type { UpstreamTls } from './tls-context.ts';

/** What a snapshot says of a cluster. */
export interface ClusterUpdate {
  readonly endpoints: readonly Endpoint[];
  /** Of a subset: the endpoints that carry them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: TrafficPolicy;
}

export class Cluster implements MemberOwner {
  /** `payments.shop.svc.cluster.local:8080`, of a subset `…:8080/v1`. */
  readonly name: string;
  readonly serverName: string;
  readonly tls: UpstreamTls;
  active = 0;
  /** What of a call its endpoint depends on: the hash that `pick` wants is of this. */
  hashKey: HashKey | null = null;
  ejections: Ejections<Member> | null = null;
  readonly #log: Log;
  #policy: TrafficPolicy = noPolicy;
  #balancer: Balancer<Member> = newBalancer(undefined, Math.random);
  /** As the snapshot has them: the same list means that nothing changed. */
  #endpoints: readonly Endpoint[] | null = null;
  #labels: Readonly<Record<string, string>> = {};
  #members: readonly Member[] = [];

  constructor(name: string, serverName: string, tls: UpstreamTls, log: Log) {
    this.name = name;
    this.serverName = serverName;
    this.tls = tls;
    this.#log = log;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /**
   * Null: there is no endpoint that may be called, or none that is not tried yet.
   * @param hash of the call's value of `hashKey`; null: it has none
   */
  pick(tried: readonly Member[], hash: number | null = null): Member | null {
    return this.#balancer.pick(tried, hash);
  }

  /** Why another call may not begin now; null: it may. */
  admit(): FailureCode | null {
    return null;
  }

  /** Gives this endpoint and no other. */
  only(endpoint: Endpoint): Pick<Cluster, 'pick' | 'hashKey' | 'admit'> {
    const key = keyOf(endpoint);
    const member = this.#members.find((one) => keyOf(one.endpoint) === key) ?? null;
    return {
      hashKey: null,
      admit: () => this.admit(),
      pick: (tried) => (tried.length === 0 ? member : null),
    };
  }

  /** Takes what a new snapshot says: endpoints that stay keep their connections and their past. */
  update({ endpoints, labels, policy }: ClusterUpdate): void {
    const kept = endpoints === this.#endpoints && isDeepStrictEqual(labels, this.#labels);
    if (!kept) {
      this.#endpoints = endpoints;
      this.#labels = labels;
      const wanted = Object.entries(labels);
      this.#takeEndpoints(
        endpoints.filter((one) => wanted.every(([name, value]) => one.labels[name] === value)),
      );
    }
    const changed = policy !== this.#policy && !isDeepStrictEqual(policy, this.#policy);
    if (changed) this.#takePolicy(policy);
    if (!kept || changed) this.#arrange();
  }

  ended(member: Member, outcome: Outcome): void {
    this.ejections?.note(member, outcome);
  }

  /** New connections for all that follows: the certificate changed. */
  renew(): void {
    for (const member of this.#members) member.renew();
  }

  /** The service is gone. */
  close(): void {
    this.ejections?.close([]);
    this.renew();
  }

  #takeEndpoints(endpoints: readonly Endpoint[]): void {
    const before = new Map(this.#members.map((member) => [keyOf(member.endpoint), member]));
    this.#members = endpoints.map((endpoint) => {
      const key = keyOf(endpoint);
      const kept = before.get(key);
      before.delete(key);
      if (kept === undefined) return new Member(endpoint, this);
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

  /** Parts that did not change keep what they have learnt. */
  #takePolicy(policy: TrafficPolicy): void {
    const before = this.#policy;
    this.#policy = policy;
    if (!isDeepStrictEqual(policy.balancing, before.balancing)) {
      this.#balancer = newBalancer(policy.balancing, Math.random);
      this.hashKey = hashKeyOf(policy.balancing);
    }
    const { outlier } = policy;
    if (outlier === undefined) {
      this.ejections?.close(this.#members);
      this.ejections = null;
    } else if (this.ejections !== null) this.ejections.change(outlier);
    else this.ejections = this.#watched(outlier);
  }

  #watched(outlier: NonNullable<TrafficPolicy['outlier']>): Ejections<Member> {
    const members = (): readonly Member[] => this.#members;
    return new Ejections(this.name, outlier, members, () => this.#arrange(), this.#log);
  }

  /** Who may be called, and how often, has changed. */
  #arrange(): void {
    this.#balancer.take(this.#members.filter((member) => !member.ejected));
  }
}

/** What makes an endpoint another one: another identity at the same address is another peer. */
function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port} ${endpoint.identity ?? ''}`;
}
