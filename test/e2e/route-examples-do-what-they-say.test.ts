// Every example of manifests/examples/routes in a local mesh, with traffic: what it promises is what callers see.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type CallOptions, ExampleMesh, seenBy, times } from './example-mesh.ts';

const examples = join(import.meta.dirname, '../../manifests/examples/routes');
const catalog = 'http://catalog.store';
const tried = new Set(['services.yaml']);
let mesh: ExampleMesh;

beforeAll(async () => {
  mesh = await ExampleMesh.start({ group: 'routes', caller: 'front' }, onThisMachine);
});
afterAll(() => mesh.stop());

/** A caller of another namespace, with a label that one of the examples looks for. */
const partner = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: partner, namespace: partners }
spec:
  selector: { matchLabels: { app: partner } }
  template:
    metadata: { labels: { app: partner, channel: beta, inject: "true" } }
    spec:
      containers:
        - { name: partner, command: [node, echo.ts], ports: [{ containerPort: 8080 }] }
`;

/** Programs in place of images. */
function onThisMachine(services: string): string {
  const local = services.replaceAll(/ {10}image: (\S+)\n/g, (_, app: string) => {
    const env = `[{ name: APP, value: ${app} }]`;
    return `          command: [node, echo.ts]\n          env: ${env}\n`;
  });
  return `${local}---${partner}`;
}

async function use(name: string): Promise<void> {
  tried.add(name);
  await mesh.use(name);
}

/** The service that takes a call of the catalog. */
async function takes(path = '/', options: CallOptions = {}): Promise<string> {
  return (await mesh.echo(`${catalog}${path}`, options)).app;
}

function withHeaders(headers: Record<string, string>): CallOptions {
  return { headers };
}

for (const file of ['canary-by-weight.yaml', 'canary-by-weight-gateway-api.yaml']) {
  test(`${file}: about one call in ten goes to the new version`, async () => {
    await use(file);
    const apps = await times(200, () => takes());
    const share = apps.filter((app) => app === 'catalog-v2').length;
    // Six standard deviations: less than one run in a hundred million is beyond.
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(46);
  });
}

for (const file of ['canary-by-header.yaml', 'canary-by-header-gateway-api.yaml']) {
  test(`${file}: testers get the new version, and nobody else`, async () => {
    await use(file);
    expect(await takes('/', withHeaders({ 'x-canary': 'always' }))).toBe('catalog-v2');
    expect(await takes('/', withHeaders({ 'x-canary': 'never' }))).toBe('catalog');
    expect(await takes()).toBe('catalog');
    const beta = await takes('/', { from: 'partner' });
    expect(beta).toBe(file.includes('gateway') ? 'catalog' : 'catalog-v2');
  });
}

test('consumer-route.yaml: callers of one namespace alone get the new version', async () => {
  await use('consumer-route.yaml');
  expect(await takes('/', { from: 'partner' })).toBe('catalog-v2');
  expect(await takes()).toBe('catalog');
});

for (const file of ['cors.yaml', 'cors-gateway-api.yaml']) {
  test(`${file}: pages of the shop may call, and no others`, async () => {
    await use(file);
    const preflight = (origin: string) =>
      mesh.call(`${catalog}/`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    for (const origin of ['https://www.example.com', 'https://shop.example.com']) {
      const { status, headers, body } = await preflight(origin);
      expect({ status, body }).toEqual({ status: 200, body: '' });
      expect(Object.fromEntries(headers)).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': expect.stringMatching(/^GET, ?POST$/),
        'access-control-allow-headers': expect.stringMatching(/^content-type, ?x-user$/),
        'access-control-max-age': '86400',
      });
    }
    const foreign = await preflight('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).toBeUndefined();
    const { headers } = await mesh.call(`${catalog}/`, {
      headers: { origin: 'https://www.example.com' },
    });
    expect(headers.get('access-control-allow-origin')).toBe('https://www.example.com');
    expect(headers.get('access-control-expose-headers')).toBe('x-total');
  });
}

test('delegate.yaml: the rules below /images come from elsewhere, each with its time', async () => {
  await use('delegate.yaml');
  const [other, small, slow, large] = await Promise.all([
    takes('/other'),
    takes('/images/1'),
    mesh.call(`${catalog}/images/1`, withHeaders({ 'x-wait': '2600' })),
    takes('/images/large/1', withHeaders({ 'x-wait': '2600' })),
  ]);
  expect({ other, small, large }).toEqual({ other: 'catalog', small: 'images', large: 'images' });
  expect(slow.status).toBe(504);
});

test('direct-response.yaml: /healthz is answered without the service', async () => {
  await use('direct-response.yaml');
  expect(await mesh.call(`${catalog}/healthz`)).toMatchObject({ status: 200, body: 'ok' });
  expect(await takes('/healthz/deep')).toBe('catalog');
});

async function timed(options: CallOptions) {
  const startMs = performance.now();
  const { status } = await mesh.call(`${catalog}/`, options);
  return { status, late: performance.now() - startMs >= 1990 };
}

test('fault.yaml: calls of testers are slow or fail, and no others', async () => {
  await use('fault.yaml');
  const [testers, others] = await Promise.all([
    times(120, () => timed(withHeaders({ 'x-chaos': 'yes' }))),
    times(20, () => timed({})),
  ]);
  const late = testers.filter((one) => one.late).length;
  expect(late).toBeGreaterThan(25);
  expect(testers.filter(({ status }) => status === 503).length).toBeGreaterThan(0);
  expect(testers.filter(({ status }) => status === 200).length).toBeGreaterThan(80);
  expect(others.every(({ status }) => status === 200)).toBe(true);
});

test('grpc-methods.yaml: one method goes to the new version', async () => {
  await use('grpc-methods.yaml');
  const grpc = { method: 'POST', headers: { 'content-type': 'application/grpc' } };
  expect(await takes('/store.v1.Catalog/Search', grpc)).toBe('catalog-v2');
  expect(await takes('/store.v1.Catalog/Get', grpc)).toBe('catalog');
});

test('headers.yaml: headers come, go, and stay inside', async () => {
  await use('headers.yaml');
  const { body, headers } = await mesh.call(
    `${catalog}/`,
    withHeaders({ 'x-internal': 'secret', 'x-tenant': 'other', 'x-kept': 'yes' }),
  );
  const seen = (JSON.parse(body) as { headers: Record<string, string> }).headers;
  expect(seen).toMatchObject({ 'x-tenant': 'store', 'x-kept': 'yes' });
  expect(seen).not.toHaveProperty('x-internal');
  expect(headers.get('x-served-by')).toBe('catalog');
});

for (const file of ['mirror.yaml', 'mirror-gateway-api.yaml']) {
  test(`${file}: about every fourth call is copied, and the answers are the old version's`, async () => {
    await use(file);
    const [v2] = mesh.pods('catalog-v2');
    if (v2 === undefined) throw new Error('no pod');
    const before = await seenBy(v2);
    const apps = await times(120, () => takes());
    expect(new Set(apps)).toEqual(new Set(['catalog']));
    await expect.poll(async () => (await seenBy(v2)) - before).toBeGreaterThan(5);
    expect((await seenBy(v2)) - before).toBeLessThan(59);
  });
}

for (const file of ['redirect.yaml', 'redirect-gateway-api.yaml']) {
  test(`${file}: the old address leads to the new one`, async () => {
    await use(file);
    const { status, headers } = await mesh.call(`${catalog}/shop/item?size=2`);
    expect(status).toBe(308);
    expect(headers.get('location')).toBe('https://www.example.com/store/item?size=2');
    const near = await mesh.call(`${catalog}/shopping`);
    expect(near.status).toBe(file.includes('gateway') ? 200 : 308);
  });
}

test('rewrite-by-regex.yaml: old paths become new ones', async () => {
  await use('rewrite-by-regex.yaml');
  expect((await mesh.echo(`${catalog}/7/item?a=b`)).url).toBe('/items/7?a=b');
  expect((await mesh.echo(`${catalog}/x/item`)).url).toBe('/x/item');
});

for (const [file, header] of [
  ['sticky-split.yaml', (user: number) => ({ 'x-user': `user-${user}` })],
  ['sticky-split-gateway-api.yaml', (user: number) => ({ cookie: `a=b; sid=user-${user}` })],
] as const) {
  test(`${file}: half of the users get the new version, each always the same one`, async () => {
    await use(file);
    const first = await times(60, (user) => takes('/', withHeaders(header(user))));
    const again = await times(60, (user) => takes('/', withHeaders(header(user))));
    expect(again).toEqual(first);
    const share = first.filter((app) => app === 'catalog-v2').length;
    expect(share).toBeGreaterThan(10);
    expect(share).toBeLessThan(50);
  });
}

test('session-gateway-api.yaml: each visitor comes back to where the first call was answered', async () => {
  await use('session-gateway-api.yaml');
  const visitors = await times(40, async () => {
    const { headers, body } = await mesh.call(`${catalog}/`);
    const cookie = headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^visit=[^;]+; .*Max-Age=43200/);
    return {
      cookie: cookie.split(';', 1)[0] ?? '',
      app: (JSON.parse(body) as { app: string }).app,
    };
  });
  expect(new Set(visitors.map(({ app }) => app)).size).toBe(2);
  const again = await times(80, (i) =>
    takes('/', withHeaders({ cookie: visitors[i % 40]?.cookie ?? '' })),
  );
  const apps = visitors.map(({ app }) => app);
  expect(again).toEqual([...apps, ...apps]);
});

for (const file of ['strip-prefix.yaml', 'strip-prefix-gateway-api.yaml']) {
  test(`${file}: the images know nothing of /images`, async () => {
    await use(file);
    const image = await mesh.echo(`${catalog}/images/large/1.png?w=2`);
    expect(image).toMatchObject({ app: 'images', url: '/large/1.png?w=2' });
    expect(await mesh.echo(`${catalog}/imagesque`)).toMatchObject({
      app: 'catalog',
      url: '/imagesque',
    });
  });
}

for (const file of ['timeout-and-retries.yaml', 'timeout-and-retries-gateway-api.yaml']) {
  test(`${file}: what fails is tried twice more, and no answer takes more than 2 s`, async () => {
    await use(file);
    const failing = (count: number) =>
      mesh.call(`${catalog}/`, withHeaders({ 'x-fail-first': `${file}-${count} ${count}` }));
    const startMs = performance.now();
    const slow = mesh.call(`${catalog}/`, withHeaders({ 'x-wait': '4000' }));
    expect((await failing(2)).status).toBe(200);
    expect((await failing(3)).status).toBe(503);
    expect((await slow).status).toBe(504);
    expect(performance.now() - startMs).toBeLessThan(2500);
  });
}

for (const [file, path, headers] of [
  ['version-by-accept.yaml', '/items', { accept: 'text/html, application/json; version=2' }],
  ['version-by-header.yaml', '/items', { 'api-version': '2' }],
  ['version-by-path.yaml', '/v2/items', {}],
  ['version-by-query.yaml', '/items?a=1&api-version=2', {}],
] as const) {
  test(`${file}: the new version takes the calls that ask for it`, async () => {
    await use(file);
    const asked = await mesh.echo(`${catalog}${path}`, withHeaders(headers));
    expect(asked.app).toBe('catalog-v2');
    expect(asked.url).toBe(path.replace('/v2/', '/'));
    const others = { accept: 'application/json; version=20', 'api-version': '1' };
    expect(await takes('/items?api-version=1', withHeaders(others))).toBe('catalog');
  });
}

test('no example is left out', async () => {
  expect(tried).toEqual(new Set(await readdir(examples)));
});
