// Istio's default retries of gRPC calls: after UNAVAILABLE and CANCELLED, and what nobody processed.
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { inTurn, Rig, serviceOf, spiffe, type TestSidecar } from '../rig.ts';

import { caller, deadPort, grpcServer } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** A caller's sidecar, and one for each of the servers that listen there. */
async function callerOf(...applications: readonly number[]): Promise<TestSidecar> {
  const identity = spiffe('shop', 'payments');
  const endpoints = await Promise.all(
    applications.map(async (application) => {
      const { inboundPort: port } = await rig.sidecar({ application, protocol: 'grpc' });
      return { port, identity };
    }),
  );
  const services = [serviceOf('payments', endpoints, 'grpc')];
  return rig.sidecar({ account: 'web', services, traffic: inTurn });
}

test.each([grpc.status.UNAVAILABLE, grpc.status.CANCELLED])(
  'after status %i another server answers the whole message',
  async (status) => {
    const [busy, alive] = [await grpcServer(rig, status), await grpcServer(rig)];
    const client = await callerOf(busy.port, alive.port);
    const calls = caller(rig, client.outboundPort, 'direct');
    for (const text of ['one', 'two', 'three', 'four']) {
      expect(await calls.unary(text)).toMatchObject({ code: 0, message: Buffer.from(text) });
    }
    expect([busy.calls(), alive.calls()]).toEqual([2, 4]);
    expect(client.telemetry.flags).toEqual(['-', '-', '-', '-']);
  },
);

test('after two more the status is given to the caller as it came', async () => {
  const busy = await grpcServer(rig, grpc.status.UNAVAILABLE);
  const client = await callerOf(busy.port);
  const reply = await caller(rig, client.outboundPort, 'direct').unary('x');
  expect(reply).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'not now' });
  expect(busy.calls()).toBe(3);
  expect(client.telemetry.flags).toEqual(['URX']);
});

test('other statuses are answers', async () => {
  const server = await grpcServer(rig, grpc.status.RESOURCE_EXHAUSTED);
  const client = await callerOf(server.port);
  const reply = await caller(rig, client.outboundPort, 'direct').unary('x');
  expect(reply.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(server.calls()).toBe(1);
});

test('a message larger than what is kept is sent once', async () => {
  const busy = await grpcServer(rig, grpc.status.UNAVAILABLE);
  const client = await callerOf(busy.port);
  const calls = caller(rig, client.outboundPort, 'direct');
  expect((await calls.unary(Buffer.alloc(2_000_000))).code).toBe(grpc.status.UNAVAILABLE);
  expect(busy.calls()).toBe(1);
});

test('what a deaf server did not take, another one answers', async () => {
  const alive = await grpcServer(rig);
  const client = await callerOf(await deadPort(), alive.port);
  const calls = caller(rig, client.outboundPort, 'direct');
  for (const text of ['one', 'two', 'three', 'four']) {
    expect(await calls.unary(text)).toMatchObject({ code: 0, message: Buffer.from(text) });
  }
  expect(alive.calls()).toBe(4);
});

// It may have done what it was asked: gRPC's calls are POST, which is not done twice.
test('a server that dies with a call is not asked again, nor is another', async () => {
  const servers = [await grpcServer(rig), await grpcServer(rig)];
  const client = await callerOf(...servers.map(({ port }) => port));
  const begun = Promise.race(
    servers.map(async (server) => {
      await server.untilBegun();
      server.stop();
    }),
  );
  const hanging = caller(rig, client.outboundPort, 'direct').unary('hang');
  await begun;
  expect(await hanging).toMatchObject({
    code: grpc.status.UNAVAILABLE,
    details: 'upstream reset before response',
  });
  expect(servers.reduce((sum, server) => sum + server.calls(), 0)).toBe(1);
});
