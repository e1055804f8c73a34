import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { Endpoint } from '#api/snapshot.ts';
import { silentLog } from '#runtime/log.ts';
import type { MemberOwner } from '#sidecar/upstream/member.ts';
import { Membership } from '#sidecar/upstream/membership.ts';
import type { Answer } from '#sidecar/upstream/resolve.ts';
import type { Way } from '#sidecar/upstream/way.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

// Nobody connects here, so nobody asks how.
const owner: MemberOwner = { way: {} as Way, budget: null, active: 0, ended: () => undefined };
const endpoint = (address: string): Endpoint => ({
  address,
  port: 5432,
  identity: null,
  workload: 'db',
  namespace: 'shop',
  labels: {},
});

function rig(answers: Record<string, string[]>) {
  let changes = 0;
  const lookUp = async (name: string): Promise<Answer> => {
    const addresses = answers[name];
    if (addresses === undefined) throw new Error('NXDOMAIN');
    return { addresses, ttlMs: 5000 };
  };
  const made = new Membership(owner, () => void (changes += 1), silentLog, lookUp);
  const addresses = (): string[] => made.members.map(({ address }) => address);
  return { made, addresses, changes: () => changes };
}

test('a name is called as it is until it is known, then each of its addresses is a member', async () => {
  const answers = { 'db.example.com': ['10.0.0.2', '10.0.0.1'] };
  const { made, addresses, changes } = rig(answers);
  made.take([endpoint('db.example.com'), endpoint('10.9.9.9')], 'dns');
  expect(addresses()).toEqual(['db.example.com:5432', '10.9.9.9:5432']);
  made.use();
  await vi.advanceTimersByTimeAsync(0);
  expect(addresses()).toEqual(['10.0.0.1:5432', '10.0.0.2:5432', '10.9.9.9:5432']);
  expect(changes()).toBe(1);
  const [kept] = made.members;
  answers['db.example.com'] = ['10.0.0.1'];
  await vi.advanceTimersByTimeAsync(5000);
  expect(addresses()).toEqual(['10.0.0.1:5432', '10.9.9.9:5432']);
  expect(made.members[0]).toBe(kept);
  made.close();
  expect(vi.getTimerCount()).toBe(0);
});

test('of dns-round-robin one address is a member at a time', async () => {
  const answers = { db: ['10.0.0.2', '10.0.0.1'] };
  const { made, addresses } = rig(answers);
  made.take([endpoint('db')], 'dns-round-robin');
  made.use();
  await vi.advanceTimersByTimeAsync(0);
  expect(addresses()).toEqual(['10.0.0.2:5432']);
  answers.db = ['10.0.0.1', '10.0.0.2'];
  await vi.advanceTimersByTimeAsync(5000);
  expect(addresses()).toEqual(['10.0.0.1:5432']);
});

test('two names of one address are one member, and a name that fails stays a name', async () => {
  const { made, addresses } = rig({ a: ['10.0.0.1'], b: ['10.0.0.1'] });
  made.take([endpoint('a'), endpoint('b'), endpoint('c')], 'dns');
  made.use();
  await vi.advanceTimersByTimeAsync(0);
  expect(addresses()).toEqual(['10.0.0.1:5432', 'c:5432']);
});

test('without a resolution names are left to the system', () => {
  const { made, addresses } = rig({ db: ['10.0.0.1'] });
  made.take([endpoint('db')], undefined);
  made.use();
  expect(made.resolves).toBe(false);
  expect(addresses()).toEqual(['db:5432']);
});
