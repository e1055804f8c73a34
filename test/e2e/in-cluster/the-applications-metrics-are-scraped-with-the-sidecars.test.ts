import { afterAll, beforeAll, expect, test } from 'vitest';

import { readNaively } from '#test/sidecar/scrape/naive-page.ts';

import { service } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

/** The page is only at /numbers of 9100; the application itself is at 8080. */
const counted = `
const http = require('node:http');
http.createServer((request, response) => response.end()).listen(8080);
http.createServer((request, response) => {
  if (request.url !== '/numbers?all=1') return response.writeHead(404).end();
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end('# TYPE orders_total counter\\norders_total{shop="a"} 4\\n');
}).listen(9100);
process.on('SIGTERM', () => process.exit(0));
`;

describeInCluster('a pod that asks to be scraped', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('scraped');
    const annotations = {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '9100',
      'prometheus.io/path': '/numbers?all=1',
    };
    await place.apply(
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'strict' },
        spec: { mtls: { mode: 'STRICT' } },
      },
      ...service({ name: 'web', script: counted, annotations }),
      ...service({ name: 'prometheus', inject: false }),
    );
    await place.ready('deployment/web', 'deployment/prometheus');
  });
  afterAll(() => place.remove());

  test('under STRICT one outside of the mesh reads both pages where its annotations say', async () => {
    const [pod] = (
      JSON.parse(await place.kubectl('get', 'pods', '-l', 'app=web', '-o', 'json')) as {
        items: {
          metadata: { annotations: Record<string, string> };
          status: { podIP: string };
        }[];
      }
    ).items;
    const { annotations = {} } = pod?.metadata ?? {};
    const [port, path] = [annotations['prometheus.io/port'], annotations['prometheus.io/path']];
    const url = `http://${pod?.status.podIP}:${port}${path}`;
    const script = `fetch('${url}').then((page) => page.text()).then((text) => process.stdout.write(text))`;
    const page = await until(
      'the page has the metrics of the application',
      () => place.exec('deployment/prometheus', 'node', '-e', script),
      (text) => text.includes('orders_total{shop="a"} 4'),
      20_000,
    );
    // kubectl's output is trimmed.
    const names = readNaively(`${page}\n`, 'text');
    expect(names.at(-1)).toBe('orders_total');
    expect(names).toContain('selvage_metric_series_overflowed_total');
  });
});
