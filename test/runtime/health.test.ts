// The health port: readiness, liveness, metrics, and nothing else.
import { expect, test } from 'vitest';

import { networkInterfaces } from 'node:os';

import { startHealth } from '#runtime/health.ts';
import { listenAddress } from '#runtime/setting-types.ts';

test('readiness follows the process, liveness does not, and metrics come when there are any', async () => {
  let ready = false;
  const health = await startHealth(
    { host: '127.0.0.1', port: 0 },
    {
      ready: () => ready,
      readyWhen: 'able to sign',
      metrics: () => (ready ? Promise.resolve({ body: 'signed 1\n' }) : null),
    },
  );
  const ask = async (path: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${health?.port}${path}`);
    return [response.status, await response.text()];
  };
  try {
    expect(await ask('/healthz/ready')).toEqual([503, 'not ready, not able to sign\n']);
    expect((await ask('/healthz/live'))[0]).toBe(200);
    expect((await ask('/metrics'))[0]).toBe(503);
    ready = true;
    expect((await ask('/healthz/ready'))[0]).toBe(200);
    expect(await ask('/metrics')).toEqual([200, 'signed 1\n']);
    expect((await ask('/snapshot'))[0]).toBe(404);
  } finally {
    await health?.close();
  }
});

test('a port alone is told on every address, of both families where the host has them', async () => {
  const parts = { ready: () => true, readyWhen: 'up', metrics: () => null };
  const health = await startHealth(listenAddress(':0'), parts);
  const loopback = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal }) => internal)
    .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));
  try {
    for (const host of loopback) {
      const { status } = await fetch(`http://${host}:${health?.port}/healthz/live`);
      expect({ host, status }).toEqual({ host, status: 200 });
    }
    expect(loopback).toContain('127.0.0.1');
  } finally {
    await health?.close();
  }
});

test('without an address there is no health port', async () => {
  const health = { ready: () => true, readyWhen: 'up', metrics: () => null };
  expect(await startHealth(null, health)).toBeNull();
});
