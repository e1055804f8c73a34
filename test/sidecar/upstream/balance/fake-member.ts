// Members as balancers see them, and means to count what was picked.
import type { Balanced, Balancer } from '#sidecar/upstream/balance/balancer.ts';

export interface FakeMember extends Balanced {
  active: number;
  share: number;
}

export function membersOf(shares: readonly number[]): FakeMember[] {
  return shares.map((share, i) => ({ address: `10.0.${i >> 8}.${i & 255}:80`, active: 0, share }));
}

/** Part of the picks that each member got. */
export function partsOf(
  balancer: Balancer<FakeMember>,
  members: readonly FakeMember[],
  picks: number,
  hashOf: (i: number) => number | null = () => null,
): number[] {
  const counts = new Map<FakeMember, number>();
  for (let i = 0; i < picks; i += 1) {
    const member = balancer.pick([], hashOf(i));
    if (member !== null) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  return members.map((member) => (counts.get(member) ?? 0) / picks);
}

/** Repeatable numbers from 0 to below 1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
