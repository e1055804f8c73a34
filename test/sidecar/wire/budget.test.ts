import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { Limits } from '#sidecar/upstream/limit/limits.ts';
import { poolLimitsOf } from '#sidecar/upstream/pool-limits.ts';
import { Http1Pool } from '#sidecar/wire/http1/pool.ts';
import { HttpPool } from '#sidecar/wire/http-pool.ts';
import type { UpstreamCall } from '#sidecar/wire/upstream.ts';

import { waitFor } from './http1/rig.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Takes connections and says nothing. */
async function silent(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** A call that only notes what becomes of it. */
function call(): UpstreamCall & { readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    isHead: false,
    asksUpgrade: false,
    expectsContinue: false,
    requestDone: true,
    framed: true,
    granted: () => void told.push('granted'),
    opened: () => void told.push('opened'),
    mayReplay: () => false,
    interim: () => undefined,
    head: () => true,
    body: () => true,
    trailers: () => undefined,
    upgraded: () => true,
    tunnelEnded: () => undefined,
    drained: () => undefined,
    failed: (code) => void told.push(code),
  };
}

function limitsOf(maxConnections: number, maxPendingRequests: number) {
  const budget = new Limits();
  const pool = { maxConnections, maxPendingRequests };
  budget.change(pool, undefined);
  return { budget, ...poolLimitsOf(pool) };
}

test('pools of two members share connections: each has one, more only within the limit', async () => {
  const { port } = await silent();
  const { budget, http1: limits } = limitsOf(2, 1);
  const open = (): Socket => connect(port, '127.0.0.1');
  const [one, other] = [1, 2].map(
    () => new Http1Pool({ address: 'a', connect: open, limits, budget }),
  );
  const calls = Array.from({ length: 5 }, call);
  one!.request(calls[0]!);
  one!.request(calls[1]!);
  expect(budget.connections).toBe(2);
  // Over the limit, but its only one: without it calls to that endpoint would never be made.
  other!.request(calls[2]!);
  expect(budget.connections).toBe(3);
  other!.request(calls[3]!);
  expect([budget.connections, budget.pending]).toEqual([3, 1]);
  one!.request(calls[4]!);
  expect(calls[4]!.told).toEqual(['overloaded']);
  expect(budget.refused).toMatchObject({ pending: 1, connections: 2 });
  other!.cancel(calls[3]!);
  expect(budget.pending).toBe(0);
});

test('connections that end are given back, also those that never opened', async () => {
  const { port, sockets } = await silent();
  const { budget, http1: limits } = limitsOf(10, 10);
  const pool = new Http1Pool({
    address: 'a',
    connect: () => connect(port, '127.0.0.1'),
    limits,
    budget,
  });
  const [good, bad] = [call(), call()];
  pool.request(good);
  await waitFor(() => sockets.length === 1);
  sockets[0]!.destroy();
  await waitFor(() => budget.connections === 0);
  expect(good.told.at(-1)).toBe('upstream-reset');
  const closed = new Http1Pool({
    address: 'a',
    connect: () => connect(1, '127.0.0.1'),
    limits,
    budget,
  });
  closed.request(bad);
  expect(budget.connections).toBe(1);
  await waitFor(() => budget.connections === 0);
  expect(bad.told.at(-1)).toBe('upstream-connect');
});

test('a connection that agrees on HTTP/2 is counted once, and calls that wait for it are pending', async () => {
  const { port, sockets } = await silent();
  const { budget, http1, http2 } = limitsOf(10, 1);
  const open = (): Socket => connect(port, '127.0.0.1');
  const pool = new HttpPool({
    address: 'a',
    connectHttp1: open,
    connectHttp2: open,
    http1,
    http2,
    budget,
  });
  const [first, second] = [call(), call()];
  pool.request(first);
  pool.request(second);
  expect([budget.connections, budget.pending]).toEqual([1, 1]);
  expect(second.told).toEqual(['overloaded']);
  await waitFor(() => first.told.includes('granted'));
  expect([budget.connections, budget.pending]).toEqual([1, 0]);
  sockets[0]!.destroy();
  await waitFor(() => budget.connections === 0);
});
