// Chooses the endpoint of the next call among those of a cluster.

/** One for each cluster, so it may remember. `members` is never changed, only replaced. */
export interface Balancer<Member> {
  /** @param tried members that this call must not go to again; null when none is left */
  pick(members: readonly Member[], tried: readonly Member[]): Member | null;
}

/** Each in turn. */
export class RoundRobin<Member> implements Balancer<Member> {
  #next: number;

  /** @param start many sidecars that begin together should not all begin with the same endpoint */
  constructor(start = Math.floor(Math.random() * 1024)) {
    this.#next = start;
  }

  pick(members: readonly Member[], tried: readonly Member[]): Member | null {
    const count = members.length;
    for (let i = 0; i < count; i += 1) {
      const at = (this.#next + i) % count;
      const member = members[at];
      if (member === undefined || tried.includes(member)) continue;
      // A second try takes nobody's turn: else every call would begin with the endpoint that is
      // down, and end with the one that is not.
      if (tried.length === 0) this.#next = at + 1;
      return member;
    }
    return null;
  }
}
