// Connections that change hands: who has given up meanwhile is not given one.
import { Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { Http1Pool } from '#sidecar/wire/http1/pool.ts';
import type { UpstreamCall, UpstreamStream } from '#sidecar/wire/upstream.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

function poolOfOne(): Http1Pool {
  return new Http1Pool({
    address: '10.0.0.1:80',
    connect: () => {
      const socket = new Socket();
      sockets.push(socket);
      return socket;
    },
    limits: { ...http1PoolLimits, connectionsMax: 1 },
  });
}

class Caller {
  stream: UpstreamStream | null = null;
  readonly failures: string[] = [];
  readonly call = {
    asksUpgrade: false,
    granted: (stream: UpstreamStream) => void (this.stream = stream),
    failed: (code: string) => void this.failures.push(code),
  } as unknown as UpstreamCall;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('who gave up as its turn came is passed over', async () => {
  const pool = poolOfOne();
  const [first, second, third] = [new Caller(), new Caller(), new Caller()];
  for (const { call } of [first, second, third]) pool.request(call);
  expect([first.stream !== null, second.stream, third.stream]).toEqual([true, null, null]);
  first.stream?.abort();
  // Its time runs out before the next turn of the loop; it asks another endpoint.
  pool.cancel(second.call);
  await turn();
  expect(second.stream).toBe(null);
  expect(third.stream).not.toBe(null);
  expect(pool.connections).toBe(1);
  third.stream?.abort();
  await turn();
  expect(pool.connections).toBe(0);
  expect([first, second, third].flatMap(({ failures }) => failures)).toEqual([]);
});
