// One port of one service as it is called, or a subset of it: its members, who of them may be called, its limits.
import { isDeepStrictEqual } from 'node:util';

import type { Endpoint } from '#api/snapshot.ts';
import type { HashKey, TrafficPolicy } from '#api/traffic/destination.ts';
import type { Log } from '#runtime/log.ts';

import type { Failure } from '../failures.ts';
import { Admission } from './admission.ts';
import { hashKeyOf, newBalancer } from './balance/choose.ts';
import type { Chooser } from './chooser.ts';
import { type ClusterUpdate, isSameUpdate } from './cluster-update.ts';
import { HealthChecks } from './health/checks.ts';
import { probe } from './health/probe.ts';
import type { Limits } from './limit/limits.ts';
import { Arrangement } from './locality/arrangement.ts';
import { levelsOf } from './locality/levels.ts';
import type { Member, MemberOwner } from './member.ts';
import { Membership } from './membership.ts';
import { Originals } from './originals.ts';
import { Ejections } from './outlier/ejections.ts';
import type { Outcome } from './outcome.ts';
import { noPolicy } from './policies.ts';
import type { UpstreamTls } from './tls-context.ts';
import { stepMs, warmth } from './warmup.ts';
import { Way, type CalledNames } from './way.ts';

export interface ClusterParts {
  /** `payments.shop.svc.cluster.local:8080`, of a subset `…:8080/v1`. */
  readonly name: string;
  readonly called: CalledNames;
  readonly tls: UpstreamTls;
  readonly log: Log;
}

/** What decides how connections are made. */
const wayParts = ['pool', 'tls', 'proxyProtocol', 'tunnel'] as const;
const nowMs = (): number => performance.now();

export class Cluster implements MemberOwner {
  readonly name: string;
  active = 0;
  way: Way;
  /** What of a call its endpoint depends on: the hash that `pick` wants is of this. */
  hashKey: HashKey | null = null;
  readonly admission = new Admission();
  ejections: Ejections<Member> | null = null;
  checks: HealthChecks<Member> | null = null;
  readonly #parts: ClusterParts;
  readonly #membership: Membership;
  readonly #originals: Originals;
  #update: ClusterUpdate | null = null;
  #policy: TrafficPolicy = noPolicy;
  #arrangement: Arrangement<Member>;
  /** performance.now() from which on shares are to be counted anew; Infinity: nobody warms up. */
  #stepAtMs = Infinity;
  /** Something wants to know that the cluster is called. */
  #told = false;

  constructor(parts: ClusterParts) {
    const { name, called, tls, log } = parts;
    this.name = name;
    this.#parts = parts;
    this.way = new Way(tls, called, noPolicy, log);
    this.#membership = new Membership(this, () => this.#arrange(), log.child({ cluster: name }));
    this.#originals = new Originals(this);
    this.#arrangement = this.#newArrangement();
  }

  get members(): readonly Member[] {
    return this.#membership.members;
  }

  get budget(): Limits | null {
    return this.admission.limits;
  }

  /** Calls go to the address that was called: `at` in place of `pick`. */
  get passthrough(): boolean {
    const resolution = this.#update?.resolution;
    const byAddress = resolution === 'none' || resolution === 'dynamic-dns';
    return byAddress || this.#policy.balancing?.kind === 'passthrough';
  }

  /** What the policy says of connections, for those of bytes, which no pool holds. */
  get pool(): TrafficPolicy['pool'] | null {
    return this.#policy.pool ?? null;
  }

  /**
   * Null: there is no endpoint that may be called, or none that is not tried yet.
   * @param hash of the call's value of `hashKey`; null: it has none
   */
  pick(tried: readonly Member[], hash: number | null = null): Member | null {
    if (this.#told) this.#used();
    return this.#arrangement.pick(tried, hash);
  }

  /** The member of a session; null: it is gone, or may not be called. @param address with its port */
  kept(address: string): Member | null {
    if (this.#told) this.#used();
    const found = this.members.find((one) => one.address === address);
    return found?.healthy === true && found.weight > 0 ? found : null;
  }

  /** The member of an address (or, of a wildcard that is resolved as called, a name). */
  at(host: string, port: number): Member {
    const known = this.members.find(
      ({ endpoint }) => endpoint.address === host && endpoint.port === port,
    );
    return known ?? this.#originals.at(host, port);
  }

  /** Gives this endpoint and no other. */
  only(endpoint: Endpoint): Chooser {
    const member = this.#membership.find(endpoint);
    return {
      hashKey: null,
      passthrough: false,
      pool: this.pool,
      at: (host, port) => this.at(host, port),
      kept: () => null,
      admit: () => this.admit(),
      admitConnection: () => this.admitConnection(),
      beginRetry: () => this.beginRetry(),
      endRetry: () => this.endRetry(),
      pick: (tried) => (tried.length === 0 ? member : null),
    };
  }

  /** Why another call may not begin now; null: it may. */
  admit(): Failure | null {
    return this.admission.admit(this.active);
  }

  /** The same for a connection of bytes. */
  admitConnection(): Failure | null {
    return this.budget?.admitConnection() ?? null;
  }

  /** Whether a call may be tried again; `endRetry` follows when that attempt is over. */
  beginRetry(): boolean {
    return this.admission.beginRetry(this.active);
  }

  endRetry(): void {
    this.budget?.endRetry();
  }

  /** Takes what a new snapshot says: what did not change keeps its connections and its past. */
  update(update: ClusterUpdate): void {
    const { policy } = update;
    const before = this.#update;
    const same = before !== null && isSameUpdate(before, update);
    this.#update = update;
    const changed = policy !== this.#policy && !isDeepStrictEqual(policy, this.#policy);
    if (changed) this.#takePolicy(policy);
    if (!same) this.#takeEndpoints(update);
    if (!same || changed) this.#arrange();
  }

  ended(member: Member, outcome: Outcome): void {
    this.ejections?.note(member, outcome);
    this.admission.note(outcome);
  }

  /** New connections for all that follows: the certificate changed. */
  renew(): void {
    for (const member of this.members) member.renew();
    this.#originals.renew();
  }

  /** The service is gone. */
  close(): void {
    this.ejections?.close([]);
    this.checks?.close();
    this.#membership.close();
    this.#originals.renew();
  }

  #takeEndpoints({ endpoints, labels, resolution }: ClusterUpdate): void {
    const wanted = Object.entries(labels);
    const some = endpoints.filter((endpoint) =>
      wanted.every(([name, value]) => endpoint.labels[name] === value),
    );
    this.#membership.take(some, resolution);
  }

  /** Parts that did not change keep what they have learnt. */
  #takePolicy(policy: TrafficPolicy): void {
    const before = this.#policy;
    this.#policy = policy;
    const isNew = (part: keyof TrafficPolicy): boolean =>
      !isDeepStrictEqual(policy[part], before[part]);
    const { called, tls, log } = this.#parts;
    this.admission.take(policy, before, this.name, log);
    if (wayParts.some(isNew)) {
      this.way = new Way(tls, called, policy, log);
      this.renew();
    }
    this.#arrangement = this.#newArrangement();
    this.hashKey = hashKeyOf(policy.balancing);
    this.#takeOutlier(policy.outlier);
    if (isNew('healthCheck')) this.#takeCheck(policy.healthCheck);
  }

  #takeOutlier(outlier: TrafficPolicy['outlier']): void {
    if (outlier === undefined) {
      this.ejections?.close(this.members);
      this.ejections = null;
    } else if (this.ejections !== null) this.ejections.change(outlier);
    else {
      const changed = (): void => this.#arrange();
      const { log } = this.#parts;
      this.ejections = new Ejections(this.name, outlier, () => this.members, changed, log);
    }
  }

  #takeCheck(policy: TrafficPolicy['healthCheck']): void {
    this.checks?.close();
    this.checks = null;
    if (policy === undefined) return;
    const { log } = this.#parts;
    this.checks = new HealthChecks<Member>({
      cluster: this.name,
      policy,
      probe,
      changed: (member) => this.#checked(member),
      log,
    });
  }

  #checked(member: Member): void {
    if (!member.failing) {
      // As in Envoy: who recovers by its checks is trusted again, and starts slowly.
      this.ejections?.restore(member);
      member.sinceMs = nowMs();
    }
    this.#arrange();
  }

  #newArrangement(): Arrangement<Member> {
    const { balancing, outlier } = this.#policy;
    return new Arrangement<Member>({
      newBalancer: () => newBalancer(balancing, Math.random),
      isHealthy: (member) => member.healthy,
      panicPercent: outlier?.minHealthPercent ?? 0,
      random: Math.random,
    });
  }

  /** Who may be called, and how often, has changed. */
  #arrange(): void {
    const { locality, outlier, healthCheck } = this.#policy;
    const own = this.#update?.own;
    const members = this.members.filter(({ weight }) => weight > 0);
    this.#weigh(members);
    this.checks?.take(this.members);
    this.#told = this.checks !== null || this.#membership.resolves || this.#stepAtMs !== Infinity;
    const detects = outlier !== undefined || healthCheck !== undefined;
    this.#arrangement.take(levelsOf(members, locality, own, detects));
  }

  #weigh(members: readonly Member[]): void {
    const { warmup, balancing } = this.#policy;
    const now = nowMs();
    // Envoy's slow start is one of these two only: a key must not wander as its endpoint warms.
    const kind = balancing?.kind ?? 'least-request';
    const slow = kind === 'least-request' || kind === 'round-robin' ? warmup : undefined;
    this.#stepAtMs = Infinity;
    for (const member of members) {
      const warm = slow === undefined ? 1 : warmth(slow, now - member.sinceMs);
      member.share = member.weight * warm;
      if (slow !== undefined && warm < 1) this.#stepAtMs = now + stepMs(slow);
    }
  }

  /** Called with each call, where somebody wants to know. */
  #used(): void {
    this.checks?.start();
    this.#membership.use();
    if (this.#stepAtMs !== Infinity && nowMs() >= this.#stepAtMs) this.#arrange();
  }
}
