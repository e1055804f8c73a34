import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { Connections, type LiveConnection } from '#sidecar/connections.ts';
import { InForce } from '#sidecar/in-force.ts';

import { snapshotOf } from './rig.ts';

class Fake implements LiveConnection {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  deadlineMs = 0;
  reason = '';
  readonly calls: string[] = [];
  judge(): string {
    return this.reason;
  }
  revoke(): void {
    this.calls.push('revoke');
  }
  drain(): void {
    this.calls.push('drain');
  }
  close(): void {
    this.calls.push('close');
  }
}

function setUp(): { connections: Connections; one: Fake; two: Fake; revoked: string[] } {
  const revoked: string[] = [];
  const connections = new Connections((_connection, reason) => revoked.push(reason));
  const one = new Fake();
  const two = new Fake();
  connections.add(one);
  connections.add(two);
  return { connections, one, two, revoked };
}

test('a change of policy ends what it no longer admits, and leaves the rest', () => {
  const { connections, one, two, revoked } = setUp();
  const inForce = new InForce();
  inForce.onChange((enforced) => connections.judgeAll(enforced));
  one.reason = 'denied';
  inForce.apply(snapshotOf({}));
  expect([one.calls, two.calls, revoked]).toEqual([['revoke'], [], ['denied']]);
});

test('a deadline that passes ends the connection', async () => {
  const { one, two, revoked } = setUp();
  one.deadlineMs = Date.now() + 10;
  two.deadlineMs = Date.now() + 60_000;
  await sleep(1300);
  expect([one.calls[0], two.calls.length, revoked.length > 0]).toEqual(['revoke', 0, true]);
});

test('draining asks all to end, waits for them, and closes those that do not', async () => {
  const { connections, one, two } = setUp();
  const drained = connections.drain(50);
  expect(connections.draining).toBe(true);
  connections.delete(one);
  await drained;
  expect(one.calls).toEqual(['drain']);
  expect(two.calls).toEqual(['drain', 'close']);
});

test('draining is over as soon as nobody is left', async () => {
  const { connections, one, two } = setUp();
  const startedAtMs = performance.now();
  const drained = connections.drain(10_000);
  connections.delete(one);
  connections.delete(two);
  await drained;
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
});

test('a snapshot that cannot be compiled leaves the last one in force', () => {
  const inForce = new InForce();
  inForce.apply(snapshotOf({}, 1));
  const broken = { ...snapshotOf({}, 2), services: null } as unknown as ReturnType<
    typeof snapshotOf
  >;
  expect(() => inForce.apply(broken)).toThrow(TypeError);
  expect(inForce.current()?.snapshot.version).toBe(1);
});
