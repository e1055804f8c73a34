import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { createLog } from '#runtime/log.ts';
import { pageBytesMax } from '#sidecar/scrape/application-page.ts';
import { acceptOf, MergedPage, timeoutOf } from '#sidecar/scrape/merged-page.ts';

import { readNaively } from './naive-page.ts';

const servers: Server[] = [];
const logged: string[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  logged.splice(0);
});

async function pageOf(application: RequestListener): Promise<MergedPage> {
  const server = createServer(application);
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return new MergedPage({
    own: async () => [
      { name: 'own', help: '', type: 'gauge', samples: [{ labels: '', value: 1 }] },
    ],
    application: new URL(`http://127.0.0.1:${port}/metrics`),
    log: createLog('test', 'info', { write: (line) => logged.push(line) }),
  });
}

const failures = /^istio_agent_scrape_failures_total\{type="application"\} (\d+)$/m;
const failuresOf = (body: string): number => Number(failures.exec(body)?.[1]);

test("the application's page comes after ours, in the format and under the type that it has", async () => {
  const page = await pageOf((request, response) => {
    const open = request.headers.accept?.startsWith('application/openmetrics-text') === true;
    const type = open ? 'application/openmetrics-text; version=1.0.0' : 'text/plain; version=0.0.4';
    response.setHeader('content-type', type);
    response.end(open ? '# TYPE app counter\napp_total 2\n# EOF\n' : 'app_total 2\n');
  });
  const text = await page.scrape({});
  expect(text.type).toBe('text/plain; version=0.0.4');
  expect(readNaively(text.body, 'text')).toEqual([
    'own',
    'istio_agent_scrapes_total',
    'istio_agent_scrape_failures_total',
    'app_total',
  ]);
  const open = await page.scrape({
    accept: 'application/openmetrics-text;version=1.0.0,*/*;q=0.1',
  });
  expect(open.type).toBe('application/openmetrics-text; version=1.0.0');
  expect(readNaively(open.body, 'openmetrics')).toContain('app_total');
  expect(open.body).toContain('# TYPE istio_agent_scrapes counter\nistio_agent_scrapes_total 2\n');
  expect(failuresOf(open.body)).toBe(0);
});

test.each<[string, RequestListener]>([
  [
    'leads away from',
    (_request, response) =>
      void response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  ],
  ['has status 302', (_request, response) => void response.writeHead(302, { location: '?' }).end()],
  ['has status 500', (_request, response) => void response.writeHead(500).end()],
  ['is no sample', (_request, response) => void response.end('<html>\n')],
  ['was not there within 80 ms', () => undefined],
  ['cannot be had', (request) => void request.socket.destroy()],
  [
    'cannot be had',
    (request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('up 1\n');
      setTimeout(() => request.socket.destroy(), 20);
    },
  ],
  [
    'is encoded (gzip)',
    (_request, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end('up 1\n');
    },
  ],
  [
    `has more than ${pageBytesMax} bytes`,
    (_request, response) => {
      const line = `up{long="${'x'.repeat(1000)}"} 1\n`;
      response.end(line.repeat(pageBytesMax / 1000));
    },
  ],
])('a page that %s is left out, said once and counted', async (why, application) => {
  const page = await pageOf(application);
  const headers = { 'x-prometheus-scrape-timeout-seconds': why.startsWith('was') ? '0.1' : '10' };
  const first = await page.scrape(headers);
  const second = await page.scrape(headers);
  expect(first.status).toBeUndefined();
  expect(first.body).toContain('own 1\n');
  expect(failuresOf(first.body)).toBe(1);
  expect(failuresOf(second.body)).toBe(2);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain(why);
});

test('a redirect within the application is followed', async () => {
  const page = await pageOf((request, response) => {
    const next = request.url?.endsWith('/') === true ? null : `${request.url}/`;
    if (next === null) response.end('up 1\n');
    else response.writeHead(307, { location: `http://${request.headers.host}${next}` }).end();
  });
  expect((await page.scrape({})).body).toContain('up 1\n');
  expect(logged).toEqual([]);
});

test('that it is well again is said too', async () => {
  let well = false;
  const page = await pageOf((_request, response) => void response.end(well ? 'up 1\n' : '!\n'));
  await page.scrape({});
  well = true;
  expect((await page.scrape({})).body).toContain('up 1\n');
  expect(logged.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual([
    'warn',
    'info',
  ]);
});

test('however many scrape at once, the application is asked a few times', async () => {
  let asked = 0;
  const page = await pageOf((_request, response) => {
    asked += 1;
    setTimeout(() => response.end('up 1\n'), 100);
  });
  const wishes = [
    '',
    'text/plain',
    '*/*',
    'text/plain;q=1',
    'text/plain;q=0.9',
    'text/plain;q=0.8',
  ];
  const replies = await Promise.all(
    [...wishes, ...wishes].map((accept) => page.scrape({ accept })),
  );
  expect(asked).toBe(4);
  expect(replies.filter(({ body }) => body.includes('up 1\n'))).toHaveLength(8);
});

test('protobuf is never asked for', () => {
  const prometheus =
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,' +
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1';
  expect(acceptOf(prometheus)).toBe(
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1',
  );
  expect(acceptOf('application/vnd.google.protobuf')).toContain('text/plain');
});

test("the application has a part of the scraper's time", () => {
  expect(timeoutOf('10')).toBe(8000);
  expect(timeoutOf('600')).toBe(30_000);
  for (const odd of [undefined, '', '0', '-1', 'x', ['1', '2']]) expect(timeoutOf(odd)).toBe(5000);
});
