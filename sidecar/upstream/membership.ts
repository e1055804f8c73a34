// Which members a cluster has: one for each address of its endpoints, kept as long as the address stays.
import { isIP } from 'node:net';

import type { Endpoint, ServiceResolution } from '#api/snapshot.ts';
import type { Log } from '#runtime/log.ts';

import { Member, type MemberOwner } from './member.ts';
import { Resolution, type LookUp } from './resolve.ts';

export class Membership {
  members: readonly Member[] = [];
  #byKey: ReadonlyMap<string, Member> = new Map();
  readonly #owner: MemberOwner;
  readonly #changed: () => void;
  readonly #log: Log;
  readonly #lookUp: LookUp | undefined;
  #endpoints: readonly Endpoint[] = [];
  #kind: ServiceResolution | undefined;
  /** Null: all endpoints are addresses. */
  #resolution: Resolution | null = null;

  /** @param changed names have other addresses now, so that members are others */
  constructor(owner: MemberOwner, changed: () => void, log: Log, lookUp?: LookUp) {
    this.#owner = owner;
    this.#changed = changed;
    this.#log = log;
    this.#lookUp = lookUp;
  }

  /** Takes what a snapshot says; members of addresses that stay keep their connections and past. */
  take(endpoints: readonly Endpoint[], kind: ServiceResolution | undefined): void {
    this.#endpoints = endpoints;
    const byName = kind === 'dns' || kind === 'dns-round-robin';
    if (kind !== this.#kind) {
      this.#resolution?.close();
      this.#resolution = byName ? this.#newResolution(kind === 'dns-round-robin') : null;
      this.#kind = kind;
    }
    this.#resolution?.take(endpoints.map(({ address }) => address));
    this.#arrange();
  }

  /** The member of an endpoint, as a snapshot gives it. */
  find(endpoint: Endpoint): Member | null {
    return this.#byKey.get(keyOf(endpoint)) ?? null;
  }

  /** The cluster is called: names are looked up while it is. */
  use(): void {
    this.#resolution?.use();
  }

  get resolves(): boolean {
    return this.#resolution !== null;
  }

  close(): void {
    this.#resolution?.close();
    for (const member of this.members) member.renew();
  }

  #newResolution(firstOnly: boolean): Resolution {
    return new Resolution(
      firstOnly,
      () => {
        this.#arrange();
        this.#changed();
      },
      (name, error) => this.#log.warn({ name, error }, 'a name was not resolved'),
      this.#lookUp,
    );
  }

  #arrange(): void {
    const before = new Map(this.#byKey);
    const present = new Map<string, Member>();
    for (const endpoint of this.#endpoints.flatMap((one) => this.#addressesOf(one))) {
      const key = keyOf(endpoint);
      if (present.has(key)) continue;
      const member = before.get(key) ?? new Member(endpoint, this.#owner);
      member.endpoint = endpoint;
      before.delete(key);
      present.set(key, member);
    }
    this.#byKey = present;
    this.members = [...present.values()];
    // With nowhere else to go a call had better wait: a pod that ends may still take it.
    const others = present.size > 0;
    for (const gone of before.values()) {
      if (others) gone.leave();
      else gone.renew();
    }
  }

  /** A name that has no address yet is called as it is: the system resolves it. */
  #addressesOf(endpoint: Endpoint): readonly Endpoint[] {
    if (this.#resolution === null || isIP(endpoint.address) !== 0) return [endpoint];
    const addresses = this.#resolution.addressesOf(endpoint.address);
    if (addresses.length === 0) return [endpoint];
    return addresses.map((address) => ({ ...endpoint, address }));
  }
}

/** What makes an endpoint another one: another identity at the same address is another peer. */
function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port} ${endpoint.identity ?? ''}`;
}
