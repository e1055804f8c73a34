// Limits on the inbound path of a sidecar, over sockets: who is refused, what callers are told, what is given back.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { all } from '#sidecar/limit/compile.ts';
import type { LimitCounts } from '#sidecar/limit/compiled-limit.ts';

import { caller, grpcServer, sidecars } from '../grpc/rig.ts';
import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  received,
  Rig,
  spiffe,
  type HttpReply,
  type TestSidecar,
} from '../rig.ts';
import { redisIsMissing, redisMissingText, RedisServer } from './redis-server.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

/** A RateLimit with limits as YAML flow text. */
function rateLimit(limits: string, more = ''): string {
  return `
---
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: calls, namespace: shop }
spec: { limits: [${limits}]${more} }
`;
}

/** Sees nothing of tokens: far from the end of its window. */
const two = '{ name: two, quota: { limit: 2, per: year } }';

async function sidecarWith(policies: string): Promise<TestSidecar> {
  const { port } = await rig.application();
  return rig.sidecar({ application: port, policies });
}

async function call(sidecar: TestSidecar, path = '/', headers = ''): Promise<HttpReply> {
  return exchange(await plain(sidecar.inboundPort), get(path, headers));
}

async function statuses(sidecar: TestSidecar, ...calls: [path?: string, headers?: string][]) {
  const list: number[] = [];
  for (const [path, headers] of calls) list.push((await call(sidecar, path, headers)).status);
  return list;
}

function forwardedFor(list: string): [string, string] {
  return ['/', `x-forwarded-for: ${list}\r\n`];
}

function lines(text: string): string {
  return text === '' ? '' : `${text}\r\n`;
}

function countsOf(sidecar: TestSidecar, name: string): LimitCounts | undefined {
  const limits = sidecar.inForce.current()?.limits ?? null;
  return all(limits).find((limit) => limit.name === `shop/calls/${name}`)?.state.counts;
}

test('what is over a limit is 429 with the fields of the draft, and so are answers of the application', async () => {
  const sidecar = await sidecarWith(
    rateLimit(`${two}, { name: fast, tokenBucket: { rate: 1, per: 10m, burst: 5 } }`),
  );
  const first = await call(sidecar);
  expect(first.status).toBe(200);
  expect(first.headers['ratelimit-policy']).toBe('"two";q=2;w=31536000, "fast";q=5;w=3000');
  expect(first.headers['ratelimit']).toMatch(/^"two";r=1;t=\d+, "fast";r=4;t=600$/);
  expect((await call(sidecar)).status).toBe(200);
  const refused = await call(sidecar);
  expect(refused).toMatchObject({ status: 429, body: 'Too Many Requests' });
  expect(refused.headers).toMatchObject({
    'content-type': 'text/plain',
    'ratelimit-policy': '"two";q=2;w=31536000, "fast";q=5;w=3000',
    server: 'selvage',
  });
  const wait = Number(refused.headers['retry-after']);
  expect(wait).toBeGreaterThan(0);
  expect(refused.headers['ratelimit']).toContain(`"two";r=0;t=${wait}`);
  expect(sidecar.telemetry.ended.at(-1)).toMatchObject({ failure: 'rate-limited' });
  expect(countsOf(sidecar, 'two')).toMatchObject({ allowed: 2, limited: 1 });
  // What one limit refused, the other did not count.
  expect(refused.headers['ratelimit']).toContain('"fast";r=3;');
  expect((await call(sidecar)).headers['ratelimit']).toContain('"fast";r=3;');
  expect(countsOf(sidecar, 'fast')).toMatchObject({ allowed: 2, limited: 0 });
});

test('what is left is told as it is after a refusal gave back what the others had counted', async () => {
  const one = '{ name: one, quota: { limit: 1, per: year }, enforce: true }';
  const sidecar = await sidecarWith(
    `${rateLimit(one, ', response: { headers: none }')}
---
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: other, namespace: shop }
spec: { limits: [{ name: wide, quota: { limit: 9, per: year } }], response: { headers: x-ratelimit } }
`,
  );
  expect((await call(sidecar)).headers['x-ratelimit-remaining']).toBe('8');
  const refused = await call(sidecar);
  expect(refused).toMatchObject({ status: 429, headers: { 'x-ratelimit-remaining': '8' } });
});

test('status, text and the style of the fields are chosen, and none are told where none are wanted', async () => {
  const wide = '{ name: wide, quota: { limit: 9, per: year } }';
  const sidecar = await sidecarWith(
    rateLimit(`${wide}, ${two}`, ', response: { status: 503, body: later, headers: x-ratelimit }'),
  );
  const { headers } = await call(sidecar);
  expect(headers).toMatchObject({ 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' });
  expect(headers['ratelimit']).toBeUndefined();
  await call(sidecar);
  expect(await call(sidecar)).toMatchObject({ status: 503, body: 'later' });
  sidecar.apply({ policies: rateLimit(two, ', response: { headers: none }') });
  const silent = await call(sidecar);
  expect(silent.status).toBe(429);
  expect(Object.keys(silent.headers).filter((name) => name.includes('ratelimit'))).toEqual([]);
});

test('limits are for what they match: templates, methods, headers, and not for what they leave out', async () => {
  const match =
    '[{ paths: ["/users/{*}/orders", "/pay*"], notPaths: ["/pay/free"], methods: [GET], headers: { x-tier: [free] } }]';
  const sidecar = await sidecarWith(
    rateLimit(`{ name: some, match: ${match}, quota: { limit: 1, per: year } }`),
  );
  const free = 'x-tier: free\r\n';
  expect(
    await statuses(
      sidecar,
      ['/users/7/orders?x', free],
      ['/users/8/orders', free],
      ['/pay/1', free],
      ['/users/8/orders', 'x-tier: gold\r\n'],
      ['/users/8/9/orders', free],
      ['/pay/free', free],
      ['/other', free],
    ),
  ).toEqual([200, 429, 429, 200, 200, 200, 200]);
});

test.each([
  ['{ from: header, name: X-Tenant }', 'x-tenant: a', 'x-tenant: b'],
  ['{ from: apiKey }', 'x-api-key: a', 'x-api-key: b'],
  ['{ from: cookie, name: session }', 'cookie: x=1; session=a', 'cookie: session=b; x=1'],
  [
    '{ from: remoteAddress, depth: 2 }',
    'x-forwarded-for: 9.9.9.9, 1.1.1.1, 10.0.0.1',
    'x-forwarded-for: 1.1.1.2, 10.0.0.1',
  ],
  ['{ from: host }', '', 'host2: x'],
  [
    '{ from: header, name: x-tenant }, { from: header, name: x-user }',
    'x-tenant: ab\r\nx-user: c',
    'x-tenant: a\r\nx-user: bc',
  ],
])('requests are counted apart by %s', async (key, one, other) => {
  const sidecar = await sidecarWith(
    rateLimit(`{ name: apart, key: [${key}], quota: { limit: 1, per: year } }`),
  );
  const apart = key.includes('host') ? 429 : 200;
  expect(
    await statuses(
      sidecar,
      ['/', lines(one)],
      ['/', lines(other)],
      ['/', lines(one)],
      ['/', lines(other)],
    ),
  ).toEqual([200, apart, 429, 429]);
});

test('an address that the client wrote before those of trusted proxies changes nothing', async () => {
  const sidecar = await sidecarWith(
    rateLimit(
      '{ name: apart, key: [{ from: remoteAddress, depth: 1 }], quota: { limit: 1, per: year } }',
    ),
  );
  expect(
    await statuses(
      sidecar,
      forwardedFor('1.1.1.1'),
      forwardedFor('6.6.6.6, 1.1.1.1'),
      forwardedFor('2.2.2.2'),
    ),
  ).toEqual([200, 429, 200]);
});

test('query keys are one however they are spelled, and paths of a template are one', async () => {
  const sidecar = await sidecarWith(
    rateLimit(
      '{ name: apart, key: [{ from: apiKey, query: key }, { from: pathTemplate, templates: ["/a/{*}", "/b/{**}"] }], quota: { limit: 1, per: year } }',
    ),
  );
  expect(
    await statuses(
      sidecar,
      ['/a/1?key=ab'],
      ['/a/2?key=%61b'],
      ['/b/1?key=ab'],
      ['/b/x/y?key=ab'],
      ['/a/1?key=c'],
      ['/x?key=c'],
      ['/y?key=c'],
    ),
  ).toEqual([200, 429, 200, 429, 200, 200, 429]);
});

test('callers are told apart by their identities, and those without one are one', async () => {
  const sidecar = await sidecarWith(
    rateLimit('{ name: apart, key: [{ from: identity }], quota: { limit: 1, per: year } }'),
  );
  const as = async (account: string): Promise<number> => {
    const issued = await rig.issued(spiffe('shop', account));
    return (await exchange(await mutual(sidecar.inboundPort, issued), get('/'))).status;
  };
  expect([await as('web'), await as('billing'), await as('web')]).toEqual([200, 200, 429]);
  expect(await statuses(sidecar, [], [])).toEqual([200, 429]);
});

test('a refused call of policy uses up nothing', async () => {
  const deny = authorization('no-x', 'DENY', '[{ to: [{ operation: { paths: ["/x"] } }] }]');
  const sidecar = await sidecarWith(deny + rateLimit(two));
  expect(await statuses(sidecar, ['/x'], ['/x'], ['/x'], ['/'], ['/'], ['/'])).toEqual([
    403, 403, 403, 200, 200, 429,
  ]);
});

test('a limit that is not enforced refuses nobody, tells nobody, and counts', async () => {
  const sidecar = await sidecarWith(
    rateLimit('{ name: dry, enforce: false, quota: { limit: 1, per: year } }'),
  );
  const replies = [await call(sidecar), await call(sidecar), await call(sidecar)];
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(replies[0]?.headers['ratelimit']).toBeUndefined();
  expect(countsOf(sidecar, 'dry')).toMatchObject({ allowed: 1, limited: 0, wouldLimit: 2 });
});

test('counts outlive a new snapshot, but not a new limit', async () => {
  const sidecar = await sidecarWith(rateLimit(two));
  expect(await statuses(sidecar, [], [])).toEqual([200, 200]);
  const deny = authorization('no-x', 'DENY', '[{ to: [{ operation: { paths: ["/x"] } }] }]');
  sidecar.apply({ policies: deny + rateLimit(two, ', response: { status: 430 }') });
  expect(await statuses(sidecar, [])).toEqual([430]);
  sidecar.apply({ policies: rateLimit(two.replace('limit: 2', 'limit: 3')) });
  expect(await statuses(sidecar, [], [], [], [])).toEqual([200, 200, 200, 429]);
  sidecar.apply({ policies: '' });
  expect(sidecar.inForce.current()?.limits).toBeNull();
  expect(await statuses(sidecar, [])).toEqual([200]);
});

test('as many requests as a limit says are under way, whether they end, fail or are given up', async () => {
  const held: ServerResponse[] = [];
  const arrived: (() => void)[] = [];
  const { port } = await rig.application((_, response) => {
    held.push(response);
    arrived.shift()?.();
  });
  const sidecar = await rig.sidecar({
    application: port,
    policies: rateLimit('{ name: few, concurrency: { limit: 2 } }'),
  });
  const begin = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    arrived.push(resolve);
    const socket = await plain(sidecar.inboundPort);
    const reply = exchange(socket, get('/'));
    await promise;
    return { socket, reply };
  };
  const one = await begin();
  const other = await begin();
  const refused = await call(sidecar);
  expect(refused.status).toBe(429);
  expect(refused.headers).toMatchObject({
    'ratelimit-policy': '"few";q=2;qu="concurrent-requests"',
    ratelimit: '"few";r=0',
    'retry-after': '1',
  });
  held[0]?.end('done');
  expect((await one.reply).status).toBe(200);
  const third = await begin();
  expect((await call(sidecar)).status).toBe(429);
  // One caller goes away, one application does.
  other.socket.destroy();
  held[2]?.write('half of');
  await once(third.socket, 'data');
  held[2]?.destroy();
  expect((await third.reply).body).not.toContain('\r\n0\r\n');
  await expect.poll(() => sidecar.inForce.current()?.limits?.underWay?.size).toBe(0);
  const fourth = await begin();
  const fifth = await begin();
  expect((await call(sidecar)).status).toBe(429);
  for (const response of held) response.end();
  expect([(await fourth.reply).status, (await fifth.reply).status]).toEqual([200, 200]);
});

test('with delay requests wait for their turn, and what is too many is refused', async () => {
  const sidecar = await sidecarWith(
    rateLimit('{ name: even, leakyBucket: { rate: 10, per: 1s, burst: 2 } }'),
  );
  const startMs = performance.now();
  const replies = await Promise.all([1, 2, 3, 4, 5].map(() => call(sidecar)));
  expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200, 200, 200, 429, 429,
  ]);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(199);
});

test('a caller that goes away while it waits harms nobody', async () => {
  const sidecar = await sidecarWith(
    rateLimit(
      '{ name: even, leakyBucket: { rate: 1, per: 1s, burst: 3 } }, { name: few, concurrency: { limit: 3 } }',
    ),
  );
  await call(sidecar);
  const socket = await plain(sidecar.inboundPort);
  socket.write(get('/'));
  await expect.poll(() => sidecar.inForce.current()?.limits?.underWay?.size).toBe(1);
  socket.destroy();
  await expect.poll(() => sidecar.inForce.current()?.limits?.underWay?.size).toBe(0);
  expect((await call(sidecar)).status).toBe(200);
  expect(sidecar.faults).toEqual([]);
});

test('a caller of gRPC hears RESOURCE_EXHAUSTED', async () => {
  const { port } = await grpcServer(rig);
  const { client, server } = await sidecars(rig, port, rateLimit(two));
  const calls = caller(rig, client.outboundPort, 'tunnel');
  expect((await calls.unary('x')).code).toBe(grpc.status.OK);
  expect((await calls.unary('x')).code).toBe(grpc.status.OK);
  expect(await calls.unary('x')).toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
    details: 'Too Many Requests',
  });
  expect(server.telemetry.ended.at(-1)).toMatchObject({ failure: 'rate-limited' });
});

describe.skipIf(redisIsMissing)(`with Redis${redisMissingText}`, () => {
  let server: RedisServer;
  const redis = (more = ''): string =>
    `, redis: { address: "127.0.0.1:${server.port}", timeout: 1s${more} }`;
  const shared = two.replace('}', '}, scope: shared').replace('name: two', 'name: shared');

  beforeEach(async () => {
    server = await RedisServer.start();
  });
  afterEach(() => server.stop());

  test('two sidecars have one limit, and what it refuses no local one counts', async () => {
    const policies = rateLimit(`${shared}, { name: own, quota: { limit: 9, per: year } }`, redis());
    const one = await sidecarWith(policies);
    const other = await sidecarWith(policies);
    expect([
      ...(await statuses(one, [])),
      ...(await statuses(other, [])),
      ...(await statuses(one, [])),
    ]).toEqual([200, 200, 429]);
    const { headers } = await call(other);
    expect(headers['ratelimit']).toMatch(/^"own";r=8;t=\d+, "shared";r=0;t=\d+$/);
    expect(countsOf(one, 'own')).toMatchObject({ allowed: 1 });
    expect(countsOf(other, 'shared')).toMatchObject({ allowed: 1, limited: 1 });
    expect(received(await call(await sidecarWith(''))).url).toBe('/');
    for (const sidecar of [one, other]) sidecar.apply({ policies: '' });
  });

  test('keys are hashed before they go to Redis', async () => {
    const sidecar = await sidecarWith(
      rateLimit(shared.replace('quota', 'key: [{ from: apiKey }], quota'), redis()),
    );
    await call(sidecar, '/', 'x-api-key: secret-of-mine\r\n');
    const keys = await server.command('KEYS', '*');
    expect(keys).toMatch(/selvage:shop\/calls\/shared:q:[\w-]{43}\r\n$/);
    expect(keys).not.toContain('secret');
    sidecar.apply({ policies: '' });
  });

  test('without Redis requests pass or fail, as was chosen, and both are counted', async () => {
    const open = await sidecarWith(rateLimit(shared, redis()));
    const closed = await sidecarWith(rateLimit(shared, redis(', onFailure: deny')));
    await call(open);
    await call(closed);
    await server.stop();
    expect(await statuses(open, [], [], [])).toEqual([200, 200, 200]);
    const failed = await call(closed);
    expect(failed).toMatchObject({ status: 503, body: 'rate limiter unavailable' });
    expect(closed.telemetry.ended.at(-1)).toMatchObject({ failure: 'limiter-failed' });
    expect(countsOf(open, 'shared')).toMatchObject({ failedOpen: 3 });
    expect(countsOf(closed, 'shared')).toMatchObject({ failedClosed: 1 });
    for (const sidecar of [open, closed]) sidecar.apply({ policies: '' });
  });
});

test('an upgraded connection counts as under way until it ends', async () => {
  const sidecar = await sidecarWith(rateLimit('{ name: few, concurrency: { limit: 1 } }'));
  const socket = await plain(sidecar.inboundPort);
  socket.write(
    'GET / HTTP/1.1\r\nhost: payments\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
  expect(String((await once(socket, 'data'))[0])).toContain('101');
  expect((await call(sidecar)).status).toBe(429);
  socket.destroy();
  await expect.poll(async () => (await call(sidecar)).status).toBe(200);
});
