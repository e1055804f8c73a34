import { expect, test } from 'vitest';

import { newBalancer } from '#sidecar/upstream/balance/choose.ts';
import { Arrangement } from '#sidecar/upstream/locality/arrangement.ts';
import type { Levels } from '#sidecar/upstream/locality/levels.ts';

import { membersOf, seeded, type FakeMember } from '../balance/fake-member.ts';

function rig(count: number, panicPercent = 0) {
  const members = membersOf(Array.from({ length: count }, () => 1));
  const ill = new Set<FakeMember>();
  const random = seeded(4);
  const arrangement = new Arrangement<FakeMember>({
    newBalancer: () => newBalancer(undefined, random),
    isHealthy: (member) => !ill.has(member),
    panicPercent,
    random,
  });
  const share = (some: readonly FakeMember[], picks = 20_000): number => {
    let met = 0;
    for (let i = 0; i < picks; i += 1) {
      const member = arrangement.pick([], null);
      if (member !== null && some.includes(member)) met += 1;
    }
    return met / picks;
  };
  return { members, ill, arrangement, share };
}

const levels = (...groups: FakeMember[][]): Levels<FakeMember> =>
  groups.map((members) => [{ members, weight: 1 }]);

test('the far level gets nothing while the near one is well, and what it cannot carry then', () => {
  const { members, ill, arrangement, share } = rig(20);
  const [near, far] = [members.slice(0, 10), members.slice(10)];
  arrangement.take(levels(near, far));
  expect(share(far)).toBe(0);
  for (const member of near.slice(0, 5)) ill.add(member);
  arrangement.take(levels(near, far));
  expect(Math.abs(share(far) - 0.3)).toBeLessThan(0.02);
  for (const member of near) ill.add(member);
  arrangement.take(levels(near, far));
  expect(share(far)).toBe(1);
});

test('nobody is called where nobody is healthy, without a threshold of panic', () => {
  const { members, ill, arrangement } = rig(3);
  for (const member of members) ill.add(member);
  arrangement.take(levels(members));
  expect(arrangement.pick([], null)).toBe(null);
});

test('in panic everybody is called, the ill as well', () => {
  const { members, ill, arrangement, share } = rig(10, 50);
  for (const member of members.slice(0, 6)) ill.add(member);
  arrangement.take(levels(members));
  expect(Math.abs(share(members.slice(0, 6)) - 0.6)).toBeLessThan(0.03);
  ill.delete(members[0]!);
  arrangement.take(levels(members));
  expect(share(members.slice(1, 6))).toBe(0);
  for (const member of members) ill.add(member);
  arrangement.take(levels(members));
  expect(share(members)).toBe(1);
});

test('no level panics while another one carries all', () => {
  const { members, ill, arrangement, share } = rig(10, 50);
  const [near, far] = [members.slice(0, 5), members.slice(5)];
  for (const member of near) ill.add(member);
  arrangement.take(levels(near, far));
  expect(share(near)).toBe(0);
});

test('places share the calls as told, and one that is ill gives its part away', () => {
  const { members, ill, arrangement, share } = rig(10);
  const [one, other] = [members.slice(0, 5), members.slice(5)];
  const groups: Levels<FakeMember> = [
    [
      { members: one, weight: 80 },
      { members: other, weight: 20 },
    ],
  ];
  arrangement.take(groups);
  expect(Math.abs(share(one) - 0.8)).toBeLessThan(0.02);
  for (const member of one) ill.add(member);
  arrangement.take(groups);
  expect(share(other)).toBe(1);
});

test('a call that tried all of its level goes on to the next one', () => {
  const { members, ill, arrangement } = rig(6);
  ill.add(members[0]!);
  const [near, far] = [members.slice(0, 3), members.slice(3)];
  arrangement.take(levels(near, far));
  const tried: FakeMember[] = [];
  for (let member = arrangement.pick(tried, null); member !== null;) {
    tried.push(member);
    member = arrangement.pick(tried, null);
  }
  expect(new Set(tried)).toEqual(new Set(members.slice(1)));
});
