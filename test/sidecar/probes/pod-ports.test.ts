import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { silentLog } from '#runtime/log.ts';
import { appProbes } from '#sidecar/probes/settings.ts';
import { startPodPorts } from '#sidecar/probes/pod-ports.ts';

const anyPort = { host: '127.0.0.1', port: 0 };
const settings = {
  podIp: '',
  capture: 'explicit',
  metrics: anyPort,
  health: anyPort,
  prometheus: anyPort,
  appProbes: [],
  applicationMetrics: null,
} as const;
const families = async (): Promise<never[]> => [];
const log = silentLog;

async function statusOf(port: number | undefined, path: string, method = 'GET'): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, { method })).status;
}

test('each port answers what it is for, and nothing that changes anything', async () => {
  let status = 200;
  const ready = (): { status: number; body: string } => ({ status, body: '' });
  const running = await startPodPorts({ settings, families, ready, log });
  const [metrics, health, prometheus] = running.ports;
  expect(await statusOf(metrics, '/healthz/ready')).toBe(200);
  expect(await statusOf(metrics, '/stats/prometheus')).toBe(200);
  expect(await statusOf(health, '/healthz/ready')).toBe(200);
  expect(await statusOf(health, '/stats/prometheus')).toBe(404);
  expect(await statusOf(prometheus, '/stats/prometheus')).toBe(200);
  expect(await statusOf(metrics, '/config_dump')).toBe(404);
  expect(await statusOf(metrics, '/quitquitquit', 'POST')).toBe(404);
  status = 503;
  expect(await statusOf(health, '/healthz/ready')).toBe(503);
  await running.close();
});

test('only what is set is listened on', async () => {
  const none = { ...settings, metrics: null, health: null, prometheus: null };
  const running = await startPodPorts({
    settings: none,
    families,
    ready: () => ({ body: '' }),
    log,
  });
  expect(running.ports).toEqual([]);
  await running.close();
});

test('however many ask at once, the application is asked once', async () => {
  let asked = 0;
  const application = createServer((_request, response) => {
    asked += 1;
    setTimeout(() => response.end('ok'), 200);
  });
  await once(application.listen(0, '127.0.0.1'), 'listening');
  const { port } = application.address() as AddressInfo;
  const path = '/app-health/web/readyz';
  const probes = appProbes(JSON.stringify({ [path]: { httpGet: { port } } }));
  const running = await startPodPorts({
    settings: { ...settings, appProbes: probes },
    families,
    ready: () => ({ body: '' }),
    log,
  });
  const ask = (): Promise<number> => statusOf(running.ports[0], path);
  expect(await Promise.all([ask(), ask(), ask(), ask()])).toEqual([200, 200, 200, 200]);
  expect(asked).toBe(1);
  expect(await ask()).toBe(200);
  expect(asked).toBe(2);
  await running.close();
  application.close();
});
