// The health port: readiness, liveness, metrics, and nothing else.
import { expect, test } from 'vitest';

import { startHealth } from '#runtime/health.ts';

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

test('without an address there is no health port', async () => {
  const health = { ready: () => true, readyWhen: 'up', metrics: () => null };
  expect(await startHealth(null, health)).toBeNull();
});
