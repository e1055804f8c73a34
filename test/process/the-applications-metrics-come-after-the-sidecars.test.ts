import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { Rig, snapshotOf, spiffe } from '#test/sidecar/rig.ts';
import { readNaively } from '#test/sidecar/scrape/naive-page.ts';

import { SidecarProcess } from './sidecar-process.ts';

let rig: Rig;
let sidecar: SidecarProcess;
let application: Server;
let metrics = 0;
let prometheus = 0;
/** What the application's page is now; null: it says nothing. */
let page: string | null = '';

beforeAll(async () => {
  rig = await Rig.create();
  application = createServer((_request, response) => {
    if (page !== null) response.end(page);
  });
  await once(application.listen(0, '127.0.0.1'), 'listening');
  const { port } = application.address() as AddressInfo;
  const snapshot = snapshotOf({});
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const [free, other] = await freePorts();
  [metrics, prometheus] = [free, other];
  sidecar = await SidecarProcess.start(files, port, {
    SELVAGE_METRICS: `127.0.0.1:${metrics}`,
    SELVAGE_PROMETHEUS: `127.0.0.1:${prometheus}`,
    SELVAGE_APP_METRICS: `http://127.0.0.1:${port}/metrics?all=1`,
  });
});

afterAll(async () => {
  await sidecar.close();
  application.close().closeAllConnections();
  await rig.close();
});

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  await Promise.all(servers.map((one) => once(one.listen(0, '127.0.0.1'), 'listening')));
  const [first = 0, second = 0] = servers.map((one) => (one.address() as AddressInfo).port);
  await Promise.all(servers.map((one) => once(one.close(), 'close')));
  return [first, second];
}

async function scrape(port: number, patienceSeconds = '10'): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${port}/stats/prometheus`, {
    headers: { 'x-prometheus-scrape-timeout-seconds': patienceSeconds },
  });
  expect(response.status).toBe(200);
  return readNaively(await response.text(), 'text');
}

test('the port that pods are scraped at has both, the other one the sidecar alone', async () => {
  page = '# TYPE orders_total counter\norders_total{shop="a"} 4\n';
  const both = await scrape(metrics);
  expect(both).toContain('selvage_metric_series_overflowed_total');
  expect(both.at(-1)).toBe('orders_total');
  expect(await scrape(prometheus)).not.toContain('orders_total');
});

test('a page that is wrong or late costs only itself, and is told once', async () => {
  page = 'up 1\nnot a sample at all\n';
  expect(await scrape(metrics)).toContain('selvage_metric_series_overflowed_total');
  page = null;
  const names = await scrape(metrics, '0.5');
  expect(names).toContain('selvage_metric_series_overflowed_total');
  expect(names).not.toContain('up');
  page = 'up 1\n';
  expect(await scrape(metrics)).toContain('up');
  await sidecar.line("the application's metrics are read again");
  const said = sidecar.lines.filter(({ msg }) => String(msg).includes('is left out'));
  expect(said).toMatchObject([{ level: 'warn', msg: expect.stringContaining('line 2') }]);
});
