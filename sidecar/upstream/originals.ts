// Members of a cluster that goes to whatever address was called: made as they are called, the oldest forgotten.
import type { Endpoint } from '#api/snapshot.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import { Member, type MemberOwner } from './member.ts';

const originalsMax = 256;

export class Originals {
  readonly #owner: MemberOwner;
  readonly #members = new Map<string, Member>();

  constructor(owner: MemberOwner) {
    this.#owner = owner;
  }

  at(host: string, port: number): Member {
    const key = formatAddress(host, port);
    const known = this.#members.get(key);
    const member = known ?? new Member(unknownEndpoint(host, port), this.#owner);
    // A Map keeps the order of insertion: the first is the one not used for longest.
    if (known !== undefined) this.#members.delete(key);
    this.#members.set(key, member);
    if (this.#members.size > originalsMax) this.#forgetOldest();
    return member;
  }

  renew(): void {
    for (const member of this.#members.values()) member.renew();
  }

  #forgetOldest(): void {
    for (const [key, member] of this.#members) {
      member.renew();
      this.#members.delete(key);
      return;
    }
  }
}

/** Of an address that only its caller knows. */
function unknownEndpoint(address: string, port: number): Endpoint {
  return { address, port, identity: null, workload: '', namespace: '', labels: {} };
}
