// What callers hear who wait for a connection that does not open: it decides whether another endpoint is tried.
import { Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import type { FailureCode } from '#sidecar/failures.ts';
import { HttpPool } from '#sidecar/wire/http-pool.ts';
import { http1PoolLimits } from '#sidecar/wire/http1/limits.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import type { UpstreamCall } from '#sidecar/wire/upstream.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

function begun(): Socket {
  const socket = new Socket();
  sockets.push(socket);
  return socket;
}

/** A pool whose connections are begun and never open. */
function deafPool(connectTimeoutMs: number): HttpPool {
  const http1 = { ...http1PoolLimits, connectTimeoutMs };
  const address = '10.0.0.1:80';
  return new HttpPool({
    address,
    connectHttp1: begun,
    connectHttp2: begun,
    http1,
    http2: http2Limits,
  });
}

function ask(pool: HttpPool): Promise<FailureCode> {
  const { promise, resolve } = Promise.withResolvers<FailureCode>();
  pool.request({ asksUpgrade: false, failed: resolve } as unknown as UpstreamCall);
  return promise;
}

test('the first caller and the later ones hear that it did not open, not that there are too many', async () => {
  const pool = deafPool(300);
  const first = ask(pool);
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
  expect(await Promise.all([first, ask(pool)])).toEqual(['connect-timeout', 'connect-timeout']);
});

test('who waits for an endpoint that is gone hears it soon, also who comes later', async () => {
  const pool = deafPool(60_000);
  const early = ask(pool);
  pool.abandon();
  expect(await early).toBe('connect-timeout');
  expect(await ask(pool)).toBe('connect-timeout');
});

test('who waits for a pool that is only renewed goes on waiting for its connection', async () => {
  const pool = deafPool(300);
  const early = ask(pool);
  pool.close();
  expect(await early).toBe('connect-timeout');
});

test('who gave up hears nothing more of a pool that was about to ask for it again', async () => {
  const pool = deafPool(60);
  const heard: FailureCode[] = [];
  const call = {
    asksUpgrade: false,
    failed: (code: FailureCode) => void heard.push(code),
  } as unknown as UpstreamCall;
  pool.replay(call);
  pool.cancel(call);
  const other = ask(pool);
  expect(await other).toBe('connect-timeout');
  expect(heard).toEqual([]);
});
