// What chooses the member of the next call, and what it may know of a member.

export interface Balanced {
  /** The same in every sidecar: what consistent hashing places it by. */
  readonly address: string;
  /** Calls under way. */
  readonly active: number;
  /** Weight as it counts now, over 0. */
  readonly share: number;
}

/** One for each set of members; it may remember. */
export interface Balancer<M> {
  /** The members from now on. Called when they or their shares change, not for a call. */
  take(members: readonly M[]): void;
  /**
   * @param tried members that this call must not go to again
   * @param hash of the call's key; null: it has none
   * @returns null when none is left
   */
  pick(tried: readonly M[], hash: number | null): M | null;
}

/** A number from 0 to below 1. */
export type Random = () => number;

/** Whether all shares are the same, so that nothing need be weighed. */
export function isEven(members: readonly Balanced[]): boolean {
  const first = members[0]?.share;
  return members.every((member) => member.share === first);
}

/** From `start` on, round and round, the first that was not tried; null when none is left. */
export function untriedFrom<M>(
  members: readonly M[],
  tried: readonly M[],
  start: number,
): M | null {
  for (let i = 0; i < members.length; i += 1) {
    const member = members[(start + i) % members.length];
    if (member !== undefined && !tried.includes(member)) return member;
  }
  return null;
}
