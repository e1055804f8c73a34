import { expect, test } from 'vitest';

import { KubeError, type KubeClient } from '#runtime/kubernetes/client.ts';
import type { LeaseObject } from '#runtime/kubernetes/lease-record.ts';
import { Leadership } from '#runtime/kubernetes/lease.ts';
import { silentLog } from '#runtime/log.ts';
import { VirtualClock } from '#test/runtime/virtual-clock.ts';

/** One lease in memory, as the API server keeps it. */
class LeaseServer {
  lease: LeaseObject | null = null;
  /** Replicas that cannot reach it. */
  readonly cutOff = new Set<string>();
  /** Answers that are late by so much, by replica. */
  readonly lateMs = new Map<string, number>();
  #version = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  client(identity: string): KubeClient {
    const call = async <T>(act: () => T): Promise<T> => {
      if (this.cutOff.has(identity)) throw new Error('connect ECONNREFUSED');
      const result = act();
      const lateMs = this.lateMs.get(identity) ?? 0;
      if (lateMs > 0) await new Promise<void>((done) => void this.#clock.after(lateMs, done));
      return result;
    };
    const client: Pick<KubeClient, 'get' | 'create' | 'replace'> = {
      get: <T>() => call(() => this.#get() as T),
      create: <T>(_path: string, body: object) => call(() => this.#create(body) as T),
      replace: <T>(_path: string, body: object) => call(() => this.#replace(body) as T),
    };
    return client as KubeClient;
  }

  #get(): LeaseObject {
    if (this.lease === null) throw new KubeError({ status: 404, reason: 'NotFound', message: '' });
    return this.lease;
  }

  #create(body: object): LeaseObject {
    if (this.lease !== null) {
      throw new KubeError({ status: 409, reason: 'AlreadyExists', message: '' });
    }
    return this.#store(body as LeaseObject);
  }

  #replace(body: object): LeaseObject {
    const next = body as LeaseObject;
    if (next.metadata.resourceVersion !== this.#get().metadata.resourceVersion) {
      throw new KubeError({ status: 409, reason: 'Conflict', message: '' });
    }
    return this.#store(next);
  }

  #store(lease: LeaseObject): LeaseObject {
    this.#version += 1;
    const metadata = { ...lease.metadata, resourceVersion: String(this.#version) };
    this.lease = { ...lease, metadata };
    return this.lease;
  }
}

class Mesh {
  readonly clock = new VirtualClock(1_000_000);
  readonly server = new LeaseServer(this.clock);
  readonly told: string[] = [];

  replica(identity: string, skewMs = 0): Leadership {
    const { clock } = this;
    return new Leadership({
      client: this.server.client(identity),
      namespace: 'selvage-system',
      name: 'selvage-control-status',
      identity,
      onChange: (leads) => this.told.push(`${identity} ${leads ? 'leads' : 'ends'}`),
      log: silentLog,
      clock: { now: () => clock.now() + skewMs, after: (ms, call) => clock.after(ms, call) },
      monotonicMs: () => clock.now(),
    });
  }
}

test('the first replica makes the lease and leads, the second waits as long as the first renews', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  const b = mesh.replica('b');
  a.start();
  await mesh.clock.pass(10);
  b.start();
  await mesh.clock.pass(120_000);
  expect([a.leads, b.leads]).toEqual([true, false]);
  expect(mesh.told).toEqual(['a leads']);
  expect(mesh.server.lease?.spec).toMatchObject({
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    leaseTransitions: 0,
  });
  expect(mesh.server.lease?.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('a leader that stops gives the lease up, and another leads within one look', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  const b = mesh.replica('b');
  a.start();
  await mesh.clock.pass(10);
  b.start();
  await mesh.clock.pass(1000);
  await a.stop();
  expect(a.leads).toBe(false);
  expect(mesh.server.lease?.spec?.holderIdentity).toBe('');
  await mesh.clock.pass(5500);
  expect(b.leads).toBe(true);
  expect(mesh.told).toEqual(['a leads', 'a ends', 'b leads']);
  expect(mesh.server.lease?.spec?.leaseTransitions).toBe(1);
});

test('a leader that cannot renew ends before another begins, however long it is cut off', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  const b = mesh.replica('b');
  a.start();
  await mesh.clock.pass(10);
  b.start();
  await mesh.clock.pass(60_000);
  mesh.server.cutOff.add('a');
  for (let ms = 0; ms < 40_000; ms += 100) {
    await mesh.clock.pass(100);
    expect(a.leads && b.leads).toBe(false);
  }
  expect([a.leads, b.leads]).toEqual([false, true]);
  expect(mesh.told).toEqual(['a leads', 'a ends', 'b leads']);
  mesh.server.cutOff.clear();
  await mesh.clock.pass(60_000);
  expect([a.leads, b.leads]).toEqual([false, true]);
});

test('a leader cut off for less than the lease lasts goes on', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  a.start();
  await mesh.clock.pass(60_000);
  mesh.server.cutOff.add('a');
  // At most 5.25 s since the last renewal, and 2.1 s until the next try: 15 s are not over.
  await mesh.clock.pass(6000);
  mesh.server.cutOff.clear();
  await mesh.clock.pass(60_000);
  expect(mesh.told).toEqual(['a leads']);
});

test('clocks that differ by an hour change nothing', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  const b = mesh.replica('b', 3_600_000);
  a.start();
  await mesh.clock.pass(10);
  b.start();
  await mesh.clock.pass(60_000);
  expect([a.leads, b.leads]).toEqual([true, false]);
  mesh.server.cutOff.add('a');
  await mesh.clock.pass(30_000);
  expect([a.leads, b.leads]).toEqual([false, true]);
});

test('a lease that a vanished replica left is taken only after it lasted since we first saw it', async () => {
  const mesh = new Mesh();
  const gone = mesh.replica('gone');
  gone.start();
  await mesh.clock.pass(10);
  mesh.server.cutOff.add('gone');
  await mesh.clock.pass(3_600_000);
  const b = mesh.replica('b');
  b.start();
  await mesh.clock.pass(14_000);
  expect(b.leads).toBe(false);
  await mesh.clock.pass(7000);
  expect(b.leads).toBe(true);
});

test('an answer that comes after the lease ended makes nobody lead', async () => {
  const mesh = new Mesh();
  mesh.server.lateMs.set('a', 16_000);
  const a = mesh.replica('a');
  a.start();
  await mesh.clock.pass(120_000);
  expect(mesh.told).toEqual([]);
  mesh.server.lateMs.clear();
  await mesh.clock.pass(60_000);
  expect(a.leads).toBe(true);
});

test('a process that stood still knows at once that it no longer leads', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  a.start();
  await mesh.clock.pass(1000);
  expect(a.leads).toBe(true);
  mesh.clock.jump(20_000);
  expect(a.leads).toBe(false);
});

test('a replica that starts again under its name goes on leading', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  a.start();
  await mesh.clock.pass(1000);
  const again = mesh.replica('a');
  again.start();
  await mesh.clock.pass(10);
  expect(again.leads).toBe(true);
  expect(mesh.server.lease?.spec?.leaseTransitions).toBe(0);
});

test('of replicas that start together exactly one leads', async () => {
  const mesh = new Mesh();
  const replicas = ['a', 'b', 'c', 'd'].map((name) => mesh.replica(name));
  for (const replica of replicas) replica.start();
  await mesh.clock.pass(1000);
  expect(replicas.filter(({ leads }) => leads).length).toBe(1);
  await mesh.clock.pass(60_000);
  expect(replicas.filter(({ leads }) => leads).length).toBe(1);
  expect(mesh.told.length).toBe(1);
});

test('stopping does not wait for a server that is gone', async () => {
  const mesh = new Mesh();
  const a = mesh.replica('a');
  a.start();
  await mesh.clock.pass(1000);
  mesh.server.lateMs.set('a', 3_600_000);
  await mesh.clock.pass(5500);
  let stopped = false;
  void a.stop().then(() => (stopped = true));
  expect(a.leads).toBe(false);
  await mesh.clock.pass(3100);
  expect(stopped).toBe(true);
});
