// Every example of manifests/examples/destinations in a local mesh, with traffic: what it promises is what callers see.
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpProxy } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { createServer, type Server } from 'node:https';
import { connect, createServer as createProxy, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { behave, type Echo, ExampleMesh, seenBy, times } from './example-mesh.ts';
import { eventually } from './local-mesh.ts';

const examples = join(import.meta.dirname, '../../manifests/examples/destinations');
const tried = new Set(['services.yaml']);
const replicas: Readonly<Record<string, number>> = {
  search: 2,
  sessions: 3,
  reviews: 2,
  orders: 2,
  media: 2,
};
const plain = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
let mesh: ExampleMesh;

beforeAll(async () => {
  mesh = await ExampleMesh.start({ group: 'destinations', caller: 'visitor' }, onThisMachine);
});
afterAll(() => mesh.stop());

/**
 * Who calls, a service with an identity of its own, and one of another namespace. The first learns from a ServiceEntry
 * alone what its port speaks: its program knows no HTTP/2.
 */
const others = `
---
${deployment('visitor', 'atlas', 'inject: "true"')}
---
${deployment('archive', 'atlas', 'inject: "true"')}
---
${deployment('far', 'elsewhere', 'inject: "false"')}
---
apiVersion: v1
kind: Service
metadata: { name: far, namespace: elsewhere }
spec: { selector: { app: far }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: machine, namespace: atlas }
spec:
  hosts: [machine.atlas.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, targetPort: 8080, name: web, protocol: HTTP }]
  workloadSelector: { labels: { app: machine } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: archive, namespace: atlas }
`;

function deployment(name: string, namespace: string, label: string): string {
  // The label of the archive itself would have the example's WorkloadEntry select its pod too.
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: ${name === 'archive' ? 'machine' : name} } }
  template:
    metadata: { labels: { app: ${name === 'archive' ? 'machine' : name}, ${label} } }
    spec:
      serviceAccountName: ${name === 'archive' ? 'archive' : 'default'}
      containers:
        - name: app
          command: [node, echo.ts]
          env: [{ name: APP, value: ${name} }]
          ports: [{ containerPort: 8080 }]
`;
}

/** Programs in place of images. Those that are only called need no sidecar, but for one: what is tried is the caller's. */
function onThisMachine(services: string): string {
  const local = services
    .split('---\n')
    .map((document) => {
      const name = /kind: Deployment\nmetadata:\n {2}name: (\S+)/.exec(document)?.[1];
      if (name === undefined) return document;
      const pod = '{ name: POD, valueFrom: { fieldRef: { fieldPath: metadata.name } } }';
      const grpc = name === 'media' ? ', { name: GRPC, value: "yes" }' : '';
      return document
        .replace('spec:\n  selector', `spec:\n  replicas: ${replicas[name] ?? 1}\n  selector`)
        .replace('      labels:\n', `      labels:\n        inject: "${name === 'ledger'}"\n`)
        .replace(
          'image: registry.example/atlas:1',
          `command: [node, echo.ts]\n          env: [{ name: APP, value: ${name} }, ${pod}${grpc}]`,
        );
    })
    .join('---\n');
  return local + others;
}

async function use(name: string, edit?: (text: string) => string): Promise<void> {
  tried.add(name);
  await mesh.use(name, edit);
}

/** Where a program of this machine listens that stands for one outside. */
function outside(workload = 'stock'): number {
  return mesh.pods(workload)[0]?.ports[0]?.app ?? 0;
}

function countOf(pods: readonly string[]): Map<string, number> {
  return new Map([...Map.groupBy(pods, (pod) => pod)].map(([pod, all]) => [pod, all.length]));
}

test('balancing.yaml: the endpoint with fewer calls under way takes more', async () => {
  await use('balancing.yaml');
  const [slow] = mesh.pods('search');
  await behave(slow, 'waitMs=1000');
  const pods: Promise<Echo>[] = [];
  // The next call comes when this one is answered, or hangs: a busy machine makes the other endpoint slow too.
  for (let i = 0; i < 60; i++) {
    const answer = mesh.echo('http://search.atlas/');
    pods.push(answer);
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  await behave(slow, '');
  const counts = countOf((await Promise.all(pods)).map(({ pod }) => pod));
  expect(counts.get('search-1') ?? 0).toBeGreaterThan(2 * (counts.get('search-0') ?? 0));
});

test('breaker-expression.yaml: a service that fails is not called for a while', async () => {
  await use('breaker-expression.yaml', (text) =>
    text.replace('fallbackDuration: 10s', 'fallbackDuration: 1s'),
  );
  const [tickets] = mesh.pods('tickets');
  if (tickets === undefined) throw new Error('no pod');
  const call = () => mesh.call('http://tickets.atlas/');
  expect((await call()).status).toBe(200);
  await behave(tickets, 'status=500');
  await eventually(
    async () => {
      await times(5, call);
      return (await mesh.cluster('tickets.')).breaker ?? null;
    },
    (breaker) => JSON.stringify(breaker).includes('open'),
  );
  const before = await seenBy(tickets);
  expect((await times(20, call)).map(({ status }) => status)).toEqual(Array(20).fill(503));
  expect(await seenBy(tickets)).toBe(before);
  await behave(tickets, '');
  await eventually(call, ({ status }) => status === 200);
});

test('circuit-breaking.yaml: what is above the limits is answered with 503 at once', async () => {
  await use('circuit-breaking.yaml');
  const [stock] = mesh.pods('stock');
  await behave(stock, 'waitMs=1500');
  const replies = await times(240, async () => {
    const startMs = performance.now();
    const { status } = await mesh.call('http://stock.atlas/');
    return { status, ms: performance.now() - startMs };
  });
  await behave(stock, '');
  const passed = replies.filter(({ status }) => status === 200);
  const refused = replies.filter(({ status }) => status === 503);
  expect(passed.length + refused.length).toBe(240);
  // 100 on as many connections, 50 that wait for one.
  expect(passed.length).toBe(150);
  expect(Math.max(...refused.map(({ ms }) => ms))).toBeLessThan(1400);
  expect((await mesh.call('http://stock.atlas/')).status).toBe(200);
});

test('consistent-hash.yaml: one user stays with one endpoint, by a cookie that is made', async () => {
  await use('consistent-hash.yaml');
  const users = await times(30, async () => {
    const { headers, body } = await mesh.call('http://sessions.atlas/');
    const [cookie = ''] = (headers.get('set-cookie') ?? '').split(';');
    expect(headers.get('set-cookie')).toMatch(/^session="?[\w-]+"?; .*(Path=\/|Max-Age=3600)/i);
    return { cookie, pod: (JSON.parse(body) as Echo).pod };
  });
  expect(new Set(users.map(({ pod }) => pod)).size).toBe(3);
  const again = await times(60, async (i) => {
    const user = users[i % 30];
    const { headers, body } = await mesh.call('http://sessions.atlas/', {
      headers: { cookie: user?.cookie ?? '' },
    });
    expect(headers.get('set-cookie')).toBeUndefined();
    return (JSON.parse(body) as Echo).pod;
  });
  expect(again).toEqual([...users, ...users].map(({ pod }) => pod));
});

test('health-check.yaml: an endpoint that fails its checks is left out until it passes them', async () => {
  await use('health-check.yaml', (text) =>
    text
      .replace('interval: 5s', 'interval: 100ms')
      .replace('  grpc:', '  interval: 100ms\n  unhealthyThreshold: 2\n  grpc:'),
  );
  const healths = async (name: string): Promise<string[]> =>
    (await mesh.cluster(`${name}.`)).endpoints.map(({ health }) => health);
  const callMedia = () => grpcCall(mesh.mesh.pod('visitor').sidecar?.outbound ?? 0);
  await mesh.call('http://orders.atlas/');
  await callMedia();
  await behave(mesh.pods('orders')[0], 'status=500');
  await grpcBehave(mesh.pods('media')[0]?.ports[0]?.app ?? 0, 'status=500');
  for (const name of ['orders', 'media']) {
    await eventually(
      () => healths(name),
      (all) => all.toSorted().join() === 'failing,healthy',
    );
  }
  const taken = await times(20, () => mesh.echo('http://orders.atlas/'));
  expect(new Set(taken.map(({ pod }) => pod))).toEqual(new Set(['orders-1']));
  expect(new Set(await times(8, callMedia))).toEqual(new Set(['media-1']));
  await behave(mesh.pods('orders')[0], '');
  await grpcBehave(mesh.pods('media')[0]?.ports[0]?.app ?? 0, 'status=200');
  for (const name of ['orders', 'media']) {
    await eventually(
      () => healths(name),
      (all) => all.join() === 'healthy,healthy',
    );
  }
});

test('outlier-detection.yaml: an endpoint that fails is left out', async () => {
  await use('outlier-detection.yaml');
  await behave(mesh.pods('reviews')[0], 'status=503');
  await eventually(
    async () => {
      await mesh.call('http://reviews.atlas/');
      return mesh.cluster('reviews.');
    },
    ({ endpoints }) => endpoints.some(({ health }) => health === 'ejected'),
  );
  const taken = await times(20, () => mesh.echo('http://reviews.atlas/'));
  expect(new Set(taken.map(({ pod }) => pod))).toEqual(new Set(['reviews-1']));
  await behave(mesh.pods('reviews')[0], '');
  const [ejection] = (await mesh.cluster('reviews.')).ejections ?? [];
  expect(ejection).toMatchObject({ event: 'ejected', workload: 'atlas/reviews', forMs: 30_000 });
});

test('service-entry-dns-round-robin.yaml: the name is looked up', async () => {
  await use('service-entry-dns-round-robin.yaml', (text) =>
    text.replace('edge.tiles.example', `localhost\n      ports: { http: ${outside()} }`),
  );
  const echo = await eventually(
    () => mesh.call('http://tiles.example/1/2'),
    ({ status }) => status === 200,
  );
  expect(JSON.parse(echo.body)).toMatchObject({ app: 'stock', url: '/1/2' });
});

test('service-entry-dns.yaml: bytes go to what the name leads to, for callers of its namespace', async () => {
  await use('service-entry-dns.yaml', (text) =>
    text.replace(
      '  # Other namespaces',
      `  endpoints: [{ address: localhost, ports: { https: ${outside()} } }]\n  # Other namespaces`,
    ),
  );
  const reply = await eventually(
    () => mesh.bytes('weather.example:443', plain),
    (text) => text.includes('"app"'),
  );
  expect(reply).toContain('"app":"stock"');
});

test('service-entry-dynamic-dns.yaml: the name that is called is looked up', async () => {
  await use('service-entry-dynamic-dns.yaml', (text) =>
    text.replace('*.storage.example', '*.localhost').replace('443', String(outside())),
  );
  const authority = `photos.localhost:${outside()}`;
  const reply = await mesh.bytes(authority, plain);
  // Not every machine knows such names; the call is one of the entry's all the same.
  const known = await lookup('photos.localhost').catch(() => null);
  expect(reply).toContain(known === null ? ' 503 ' : '"app":"stock"');
  const line = await mesh.accessLine((text) => text.includes(authority));
  expect(line).toContain('*.localhost');
});

test('service-entry-none.yaml: calls go where they were going, and are known', async () => {
  await use('service-entry-none.yaml', (text) =>
    text.replace('198.51.100.0/24', '127.0.0.0/24').replace('3270', String(outside())),
  );
  expect(await mesh.bytes(`127.0.0.1:${outside()}`, plain)).toContain('"app":"stock"');
  const line = await mesh.accessLine((text) =>
    text.includes(`"authority":"127.0.0.1:${outside()}"`),
  );
  expect(line).toContain('mainframe.atlas.example');
});

test('service-entry-static.yaml: its endpoints take calls by their shares', async () => {
  await use('service-entry-static.yaml', (text) =>
    text
      .replace('address: 192.0.2.10', `address: 127.0.0.1\n      ports: { http: ${outside()} }`)
      .replace(
        'address: 192.0.2.20',
        `address: 127.0.0.1\n      ports: { http: ${outside('tickets')} }`,
      ),
  );
  const apps = await times(
    200,
    async () => (await mesh.echo('http://geocoder.atlas.example/')).app,
  );
  const heavy = countOf(apps).get('stock') ?? 0;
  expect(heavy).toBeGreaterThan(114);
  expect(heavy).toBeLessThan(186);
});

test('sidecar-ingress.yaml: calls go to the program, and no more at once than it is said to take', async () => {
  await use('sidecar-ingress.yaml');
  const [ledger] = mesh.pods('ledger');
  const reports = 'http://ledger.atlas:81/reports';
  expect(await mesh.echo(reports)).toMatchObject({ app: 'ledger', url: '/reports' });
  await behave(ledger, 'waitMs=1500');
  const statuses = (await times(40, () => mesh.call(reports))).map(({ status }) => status);
  await behave(ledger, '');
  expect(countOf(statuses.map(String))).toEqual(
    new Map([
      ['503', 20],
      ['200', 20],
    ]),
  );
});

test('sidecar-scope.yaml: other namespaces are not seen, and calls to what nobody has are refused', async () => {
  await mesh.apply('');
  expect((await mesh.echo('http://far.elsewhere/')).app).toBe('far');
  await use('sidecar-scope.yaml');
  expect((await mesh.echo('http://maps.atlas/')).app).toMatch(/^maps-v/);
  expect((await mesh.call('http://far.elsewhere/')).status).toBe(502);
  expect((await mesh.call(`http://127.0.0.1:${outside()}/`)).status).toBe(502);
  expect(await mesh.bytes(`127.0.0.1:${outside()}`, plain)).not.toContain('"app"');
});

const routeToSubset = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: maps, namespace: atlas }
spec:
  hosts: [maps]
  http:
    - match: [{ headers: { version: { exact: v3 } } }]
      route: [{ destination: { host: maps, subset: v3 } }]
    - match: [{ headers: { version: { exact: v2 } } }]
      route: [{ destination: { host: maps, subset: v2 } }]
    - route: [{ destination: { host: maps, subset: v1 } }]
`;

test('subsets.yaml: routes choose versions, each with limits of its own', async () => {
  await use('subsets.yaml', (text) => `${text}${routeToSubset}`);
  const call = async (version: string) =>
    (await mesh.echo('http://maps.atlas/', { headers: { version } })).app;
  expect(new Set(await times(10, () => call('v1')))).toEqual(new Set(['maps-v1']));
  expect(new Set(await times(10, () => call('v2')))).toEqual(new Set(['maps-v2']));
  const missing = await mesh.call('http://maps.atlas/', { headers: { version: 'v3' } });
  expect(missing.status).toBe(503);
});

test('tunnel.yaml: connections leave by the forward proxy, and fail when it says no', async () => {
  const asked: string[] = [];
  const proxy = createProxy((socket) => {
    socket.once('data', (head) => {
      asked.push(head.toString());
      if (asked.length > 1) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        return;
      }
      socket.write('HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n');
      const far = connect(outside(), '127.0.0.1').on('error', () => socket.destroy());
      socket.pipe(far).pipe(socket);
    });
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  try {
    await use('tunnel.yaml', (text) =>
      text.replace(
        'address: 192.0.2.10',
        `address: 127.0.0.1\n      ports: { tcp-proxy: ${port} }`,
      ),
    );
    expect(await mesh.bytes('bank.example:443', plain)).toContain('"app":"stock"');
    expect(asked).toEqual(['CONNECT bank.example:443 HTTP/1.1\r\nhost: bank.example:443\r\n\r\n']);
    expect(await mesh.bytes('bank.example:443', plain)).toMatch(/^HTTP\/1\.1 503 /);
    const line = await mesh.accessLine((text) => text.includes('no tunnel'));
    expect(JSON.parse(line)).toMatchObject({ response_flags: 'UF' });
    expect(line).toContain('no tunnel: the proxy answered 407');
  } finally {
    proxy.close();
  }
});

test('tunnel.yaml: by POST bytes are the bodies of a request and its answer', async () => {
  const asked: string[] = [];
  const proxy = createHttpProxy((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.flushHeaders();
    const far = connect(outside(), '127.0.0.1').on('error', () => response.destroy());
    request.pipe(far).pipe(response);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  try {
    await use('tunnel.yaml', (text) =>
      text
        .replace('protocol: CONNECT', 'protocol: POST')
        .replace('address: 192.0.2.10', `address: 127.0.0.1\n      ports: { tcp-proxy: ${port} }`),
    );
    expect(await mesh.bytes('bank.example:443', plain)).toContain('"app":"stock"');
    expect(asked).toEqual(['POST / bank.example:443']);
  } finally {
    proxy.close();
  }
});

test('tls-to-outside.yaml: the sidecar proves itself to a service outside, and checks its name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-partner-'));
  const ca = await makeTestCa();
  const client = await issue(ca, { commonName: 'atlas' });
  await writeFile(join(folder, 'tls.crt'), client.certPem);
  await writeFile(join(folder, 'tls.key'), client.keyPem, { mode: 0o600 });
  await writeFile(join(folder, 'ca.crt'), ca.certPem);
  const server = await partner(ca, 'api.partner.example');
  const impostor = await partner(ca, 'other.example');
  const call = async ({ port }: AddressInfo) => {
    await use('tls-to-outside.yaml', (text) =>
      text
        .replaceAll('/etc/partner/', `${folder}/`)
        .replace('resolution: DNS', 'resolution: STATIC')
        .replace('targetPort: 443', `targetPort: ${port}\n  endpoints: [{ address: 127.0.0.1 }]`),
    );
    return mesh.call('http://api.partner.example/');
  };
  try {
    expect(await call(server.address() as AddressInfo)).toMatchObject({
      status: 200,
      body: 'atlas for api.partner.example by api.partner.example',
    });
    expect((await call(impostor.address() as AddressInfo)).status).toBe(503);
  } finally {
    server.close();
    impostor.close();
    await rm(folder, { recursive: true, force: true });
  }
});

/** Says who called, which host, and by which server name. */
async function partner(ca: Awaited<ReturnType<typeof makeTestCa>>, name: string): Promise<Server> {
  const { certPem, keyPem } = await issue(ca, { dns: [name] });
  const tls = { cert: certPem, key: keyPem, ca: ca.certPem, requestCert: true };
  const server = createServer(tls, (request, response) => {
    const socket = request.socket as TLSSocket & { servername: string };
    const { CN: caller } = socket.getPeerCertificate().subject;
    response.end(`${String(caller)} for ${request.headers.host} by ${socket.servername}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('workload-entry.yaml: a machine with a sidecar is called by mutual TLS, as whom the entry names', async () => {
  const machine = mesh.pods('archive')[0]?.ports[0]?.listen ?? 0;
  await use('workload-entry.yaml', (text) =>
    text.replace('192.0.2.30', '127.0.0.1').replace('http: 8080', `http: ${machine}`),
  );
  const echo = await mesh.echo('http://archive.atlas.example/');
  expect(echo.app).toBe('archive');
  expect(echo.headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/atlas');
  const [endpoint] = (await mesh.cluster('archive.atlas.example')).endpoints;
  expect(endpoint?.identity).toBe('spiffe://cluster.local/ns/atlas/sa/archive');
  await use('workload-entry.yaml', (text) =>
    text
      .replace('192.0.2.30', '127.0.0.1')
      .replace('http: 8080', `http: ${machine}`)
      .replace('serviceAccount: archive', 'serviceAccount: somebody-else'),
  );
  expect((await mesh.call('http://archive.atlas.example/')).status).toBe(503);
});

test('no example is left out', async () => {
  expect(tried).toEqual(new Set(await readdir(examples)));
});

/** One call of gRPC through a sidecar. @returns the pod that took it; '' for none */
async function grpcCall(outbound: number): Promise<string> {
  const session = connectHttp2(`http://127.0.0.1:${outbound}`);
  session.on('error', () => undefined);
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/media.v1.Media/Get',
      ':authority': 'media.atlas:80',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    stream.resume();
    await once(stream, 'close');
    return headers['x-pod'] ?? '';
  } finally {
    session.destroy();
  }
}

async function grpcBehave(port: number, how: string): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':path': `/behave?${how}` }).resume();
  await once(stream, 'close');
  session.close();
}
