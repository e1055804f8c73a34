// A real sidecar asked about its calls: by the id of a failure, by a tap, by who calls whom, before they are made.
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { CallRecord, EdgeCount } from '#api/call-record.ts';
import { freePort } from '#test/free-port.ts';
import {
  authorization,
  exchange,
  get,
  mutual,
  plain,
  Rig,
  serviceOf,
  snapshotOf,
  spiffe,
  strict,
  type HttpReply,
} from '#test/sidecar/rig.ts';

import { SidecarProcess } from './sidecar-process.ts';

const web = spiffe('shop', 'web');
let rig: Rig;
let folder: string;
let accessLog: string;

beforeEach(async () => {
  rig = await Rig.create();
  folder = await mkdtemp(join(tmpdir(), 'selvage-observe-'));
  accessLog = join(folder, 'access.log');
});
afterEach(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

const policies =
  strict +
  authorization('admit-web', 'ALLOW', '[{ to: [{ operation: { paths: ["/pay*"] } }] }]') +
  `
---
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: slow, namespace: shop }
spec:
  limits: [{ name: all, match: [{ paths: ["/pay/slowly"] }], fixedWindow: { limit: 1, window: 1h } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: trial
  namespace: shop
  annotations: { istio.io/dry-run: "true" }
spec: { action: DENY, rules: [{ to: [{ operation: { methods: ["POST"] } }] }] }
`;

async function start(
  env: Record<string, string> = {},
  handler?: Parameters<Rig['application']>[0],
): Promise<SidecarProcess> {
  const application = await rig.application(
    handler ?? ((_request, response) => response.end('ok')),
  );
  const dead = await freePort();
  const services = [serviceOf('orders', [{ port: dead, identity: spiffe('shop', 'orders') }])];
  const snapshot = snapshotOf({ policies, services }, 7);
  const { certPem, keyPem } = await rig.issued(spiffe('shop', 'payments'));
  const sidecar = await SidecarProcess.start(
    { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem },
    application.port,
    { SELVAGE_ACCESS_LOG: accessLog, SELVAGE_ACCESS_LOG_FORMAT: 'json', ...env },
  );
  rig.onClose(() => sidecar.close());
  return sidecar;
}

async function call(sidecar: SidecarProcess, path: string, headers = ''): Promise<HttpReply> {
  const [port = 0] = sidecar.ready.inboundPorts;
  return exchange(await mutual(port, await rig.issued(web)), get(path, headers));
}

async function ask<T>(sidecar: SidecarProcess, path: string): Promise<T> {
  const { status, body } = await sidecar.admin(path);
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
  return JSON.parse(body) as T;
}

async function logged(id: string): Promise<Record<string, unknown>> {
  let line: string | undefined;
  await expect
    .poll(async () => {
      const text = await readFile(accessLog, 'utf8').catch(() => '');
      line = text.split('\n').find((one) => one.includes(id));
      return line;
    })
    .toBeDefined();
  return JSON.parse(line ?? '') as Record<string, unknown>;
}

/** What a tap tells, as it comes. */
class Tap {
  readonly lines: Record<string, unknown>[] = [];
  readonly response: IncomingMessage;
  ended = false;

  private constructor(response: IncomingMessage) {
    this.response = response;
  }

  /** Resolves when it is open. */
  static async open(sidecar: SidecarProcess, query: string): Promise<Tap> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const { adminPort: port } = sidecar.ready;
    httpGet({ host: '127.0.0.1', port, path: `/tap?${query}`, agent: false }, resolve).once(
      'error',
      reject,
    );
    const tap = new Tap(await promise);
    rig.onClose(() => tap.response.destroy());
    tap.response.on('error', () => undefined);
    return tap;
  }

  read(): this {
    const lines = createInterface({ input: this.response });
    lines.on('line', (line) => this.lines.push(JSON.parse(line) as Record<string, unknown>));
    lines.on('close', () => (this.ended = true));
    return this;
  }
}

test('the id of a denial is in the answer, in the log and at /why, with the same reason', async () => {
  const sidecar = await start();
  const answer = await call(sidecar, '/admin?token=hunter2&page=3', 'authorization: Bearer x\r\n');
  const id = answer.headers['x-selvage-id'] ?? '';
  expect(answer.status).toBe(403);
  const record = await ask<CallRecord>(sidecar, `/why?id=${id}`);
  expect(record).toMatchObject({
    id,
    reporter: 'inbound',
    method: 'GET',
    path: '/admin?token=…&page=…',
    status: 403,
    verdict: 'deny',
    mtls: true,
    port: 8080,
    source: { namespace: 'shop', principal: web },
    destination: { namespace: 'shop', workload: 'payments' },
    nearest: { policy: 'shop/admit-web', rule: 0, missed: [{ got: '/admin' }] },
    dryRun: ['shop/trial (dry run, DENY) would not match'],
  });
  expect(record.why).toMatch(
    /^denied: no rule of the one ALLOW policy .*; nearest is shop\/admit-web/,
  );
  const line = await logged(id);
  expect(line).toMatchObject({ response_code: 403, id, why: record.why, nearest: record.nearest });
  expect(await ask(sidecar, '/recent?verdict=deny&limit=5')).toEqual([record]);
  expect(await sidecar.admin('/why?id=0123456789')).toMatchObject({ status: 404 });
  expect(await sidecar.admin('/why')).toMatchObject({ status: 400 });
});

test('a call that fails on its way out, and a connection that is refused, are told too', async () => {
  const sidecar = await start();
  const answer = await exchange(
    await plain(sidecar.ready.outboundPort),
    get('/', '', 'orders.shop.svc.cluster.local'),
  );
  const id = answer.headers['x-selvage-id'] ?? '';
  expect(answer.status).toBe(503);
  expect(await ask(sidecar, `/why?id=${id}`)).toMatchObject({
    reporter: 'outbound',
    service: 'orders.shop.svc.cluster.local',
    destination: { workload: 'orders', principal: spiffe('shop', 'orders') },
    verdict: null,
    flags: expect.stringContaining('UF'),
    why: expect.stringContaining('upstream-connect: '),
  });
  const [port = 0] = sidecar.ready.inboundPorts;
  const socket = await plain(port);
  socket.on('error', () => undefined);
  socket.write(get('/pay'));
  await expect
    .poll(async () => (await ask<CallRecord[]>(sidecar, '/recent?verdict=deny')).length)
    .toBe(1);
  const [refused] = await ask<CallRecord[]>(sidecar, '/recent?verdict=deny');
  expect(refused).toMatchObject({ protocol: 'TCP', status: 0, mtls: false });
  expect(refused?.why).toContain('plaintext to port 8080, where');
  expect((await logged(refused?.id ?? '-'))['why']).toBe(refused?.why);
});

test('edges, limits and explanations are of what is in force', async () => {
  const sidecar = await start();
  const statuses = [];
  for (const path of ['/pay', '/pay/slowly', '/pay/slowly', '/admin']) {
    statuses.push((await call(sidecar, path)).status);
  }
  expect(statuses).toEqual([200, 200, 429, 403]);
  const [edge, ...others] = await ask<EdgeCount[]>(sidecar, '/edges');
  expect(others).toEqual([]);
  expect(edge).toMatchObject({
    reporter: 'inbound',
    source: { principal: web },
    destination: { workload: 'payments' },
    security: 'mutual_tls',
    protocol: 'http',
    requests: 4,
    failures: 0,
    refusals: 2,
  });
  expect(edge?.durations.reduce((sum, count) => sum + count, 0)).toBe(4);
  expect(await ask(sidecar, '/limits')).toEqual([
    {
      limit: 'shop/slow[0]',
      name: 'all',
      algorithm: 'fixedWindow',
      scope: 'local',
      keys: 1,
      allowed: 1,
      limited: 1,
      errors: 0,
    },
  ]);
  const explain = async (body: string): Promise<unknown> => {
    const { adminPort } = sidecar.ready;
    const answer = await fetch(`http://127.0.0.1:${adminPort}/explain`, { method: 'POST', body });
    return { status: answer.status, ...((await answer.json()) as object) };
  };
  const asked = {
    port: 8080,
    method: 'GET',
    path: '/pay',
    identities: [web],
    authority: 'payments',
  };
  expect(await explain(JSON.stringify(asked))).toMatchObject({
    snapshot: 7,
    mtls: 'STRICT',
    decision: 'allow',
    explanation: { summary: expect.stringContaining('allowed by shop/admit-web rule 0') },
  });
  expect(await explain(JSON.stringify({ ...asked, identities: [] }))).toMatchObject({
    decision: 'closed',
    explanation: { summary: expect.stringContaining('plaintext to port 8080') },
  });
  expect(await explain('{')).toMatchObject({ status: 400 });
  expect(await explain('{"port":0}')).toMatchObject({
    status: 400,
    error: 'port is a number from 1 to 65535',
  });
});

test.each(['1', '2'])('a tap shows the calls that it asks for; workers: %s', async (workers) => {
  const sidecar = await start({ SELVAGE_CONCURRENCY: workers });
  const all = (await Tap.open(sidecar, 'facts=1')).read();
  const denied = (await Tap.open(sidecar, 'status=4xx&direction=inbound')).read();
  const two = (await Tap.open(sidecar, 'path=/pay*&limit=2')).read();
  const nobody = (await Tap.open(sidecar, 'identity=*/sa/nobody')).read();
  const fifth = await Tap.open(sidecar, '');
  expect(fifth.response.statusCode).toBe(429);
  expect((await Tap.open(sidecar, 'colour=red')).response.statusCode).toBe(400);
  const secrets = 'authorization: Bearer hunter2\r\nx-session-token: hunter2\r\nx-user: ann\r\n';
  const ids = [];
  for (const path of ['/pay/1', '/admin', '/pay/2', '/pay/3', '/admin?x=hunter2', '/pay/4']) {
    ids.push((await call(sidecar, path, secrets)).headers['x-selvage-id'] ?? '');
  }
  await expect.poll(() => all.lines.length).toBe(6);
  await expect.poll(() => denied.lines.length).toBe(2);
  await expect.poll(() => two.ended).toBe(true);
  expect(two.lines.map(({ path }) => path).every((path) => String(path).startsWith('/pay'))).toBe(
    true,
  );
  expect([two.lines.length, nobody.lines.length]).toEqual([2, 0]);
  expect(JSON.stringify(all.lines)).not.toContain('hunter2');
  const first = all.lines.find(({ path }) => path === '/pay/1');
  expect(first).toMatchObject({
    verdict: 'allow',
    why: expect.stringContaining('allowed by shop/admit-web rule 0'),
    id: '',
    dryRun: ['shop/trial (dry run, DENY) would not match'],
    facts: { identities: [web], sourceIp: '127.0.0.1', token: null, scheme: 'https' },
  });
  expect(first?.['facts']).toMatchObject({
    headers: expect.arrayContaining([
      ['authorization', '(redacted)'],
      ['x-session-token', '(redacted)'],
      ['x-user', 'ann'],
    ]),
  });
  for (const id of ids.filter((one) => one !== '')) {
    expect(await ask(sidecar, `/why?id=${id}`)).toMatchObject({ id, status: 403 });
  }
  const refused = ids.filter((id) => id !== '');
  expect(new Set(denied.lines.map(({ id }) => id))).toEqual(new Set(refused));
  const newest = await ask<CallRecord[]>(sidecar, '/recent');
  expect(newest.map(({ id }) => id)).toEqual(ids.filter((id) => id !== '').toReversed());
  const edges = await ask<EdgeCount[]>(sidecar, '/edges');
  expect(edges).toMatchObject([{ requests: 6, refusals: 2 }]);
  // Who has gone makes room for the next.
  all.response.destroy();
  await expect
    .poll(async () => {
      const next = await Tap.open(sidecar, '');
      next.response.destroy();
      return next.response.statusCode;
    })
    .toBe(200);
  expect(await sidecar.end()).toBe(0);
  await expect.poll(() => denied.ended).toBe(true);
});

test('a tap that is read slowly loses records, is told how many, and holds nothing up', async () => {
  const sidecar = await start();
  const slow = await Tap.open(sidecar, 'facts=1');
  const [port = 0] = sidecar.ready.inboundPorts;
  const socket = await mutual(port, await rig.issued(web));
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += String(bytes)));
  // What the two sockets' own buffers hold is far less than this.
  const filling = `x-filling: ${'f'.repeat(12_000)}\r\n`;
  const request = `GET /pay HTTP/1.1\r\nhost: payments\r\n${filling}\r\n`;
  const count = 3000;
  for (let i = 0; i < count; i += 1) {
    if (!socket.write(request)) await once(socket, 'drain');
  }
  await expect.poll(() => text.split('HTTP/1.1 200').length - 1, { timeout: 15_000 }).toBe(count);
  socket.destroy();
  slow.read();
  await expect
    .poll(() => slow.lines.reduce((sum, line) => sum + Number(line['dropped'] ?? 1), 0), {
      timeout: 15_000,
    })
    .toBe(count);
  expect(slow.lines.some((line) => 'dropped' in line)).toBe(true);
});
