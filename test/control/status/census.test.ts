import { afterEach, expect, test } from 'vitest';

import { startPushServer, type PushServer } from '#control/push/server.ts';
import { Census } from '#control/status/census.ts';
import { statusRoutes } from '#control/status/routes.ts';
import { requestJson } from '#runtime/h2-json.ts';
import { silentLog } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';
import { controlIdentity, quickLimits } from '#test/control/push/fixtures.ts';
import { issue, makeTestCa, type TestCa } from '#test/tls/fixtures.ts';

import { policy, SmallControl, webDeployment } from './small-control.ts';

interface Replica {
  readonly control: SmallControl;
  readonly census: Census;
  readonly server: PushServer;
  readonly address: string;
}

const servers: PushServer[] = [];
/** What all replicas take for the list of all. */
let addresses: string[] = [];

afterEach(async () => {
  addresses = [];
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(ca: TestCa, name: string, uri = controlIdentity): Promise<Replica> {
  const control = new SmallControl();
  const svid = await svidOf(ca, uri);
  const census = new Census({
    sessions: control.sessions,
    snapshots: control.snapshots,
    resources: () => control.resources,
    svid: () => svid,
    log: silentLog,
    replica: name,
    replicas: () => addresses,
    timeoutMs: 2000,
  });
  const server = await startPushServer({
    host: '127.0.0.1',
    port: 0,
    credentials: { key: svid.keyPem, cert: svid.chainPem, ca: svid.trustBundlePem },
    trustDomain: 'cluster.local',
    sessions: control.sessions,
    report: () => census.ownReport(),
    limits: quickLimits,
    log: silentLog,
    events: {
      pushed: () => undefined,
      acked: () => undefined,
      nacked: () => undefined,
      connected: () => undefined,
      disconnected: () => undefined,
      refused: () => undefined,
    },
  });
  servers.push(server);
  const address = `127.0.0.1:${server.port}`;
  addresses.push(address);
  return { control, census, server, address };
}

test('either replica tells of the sidecars of both, and how many enforce a resource', async () => {
  const ca = await makeTestCa();
  const [a, b] = [await start(ca, 'control-a'), await start(ca, 'control-b')];
  for (const { control } of [a, b]) control.take(webDeployment, policy('admit', 3));
  a.control.connect('web-0');
  b.control.connect('web-1');
  b.control.connect('web-2');
  a.control.acknowledge();
  b.control.acknowledge('web-1');
  for (const { census } of [a, b]) {
    const sidecars = (await ask(census, '/sidecars')) as object[];
    expect(sidecars).toMatchObject([
      { pod: 'web-0', replica: 'control-a', inSync: true, ackedVersion: 1, version: '0.1.0' },
      { pod: 'web-1', replica: 'control-b', inSync: true, refused: '' },
      { pod: 'web-2', replica: 'control-b', inSync: false, ackedVersion: null, ackedAt: null },
    ]);
    expect(sidecars[0]).not.toHaveProperty('wanted');
    expect(
      await ask(census, '/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit'),
    ).toEqual({
      generation: 3,
      enforced: 2,
      of: 3,
      missing: ['shop/web-2'],
      refusals: [],
      unreachable: [],
    });
  }
});

test('a refusal is told with its reason', async () => {
  const ca = await makeTestCa();
  const { control, census } = await start(ca, 'control-a');
  control.take(webDeployment, policy('admit', 1));
  control.connect('web-0');
  control.refuse('web-0', 'no such thing');
  expect(await ask(census, '/sidecars')).toMatchObject([
    { pod: 'web-0', inSync: false, refused: 'no such thing' },
  ]);
  expect(
    await ask(census, '/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit'),
  ).toMatchObject({ enforced: 0, of: 1, refusals: ['shop/web-0: no such thing'] });
});

test('a resource that control has not seen has no generation, a kind that there is not is a mistake', async () => {
  const { census } = await start(await makeTestCa(), 'control-a');
  const query = '/enforced?kind=AuthorizationPolicy&namespace=shop&name=none';
  expect(await ask(census, query)).toMatchObject({ generation: null, enforced: 0, of: 0 });
  expect(await ask(census, '/enforced?kind=Nothing&namespace=a&name=b')).toMatchObject({
    code: 'query-malformed',
  });
});

test('a replica that does not answer is named, and the others are told all the same', async () => {
  const a = await start(await makeTestCa(), 'control-a');
  addresses.push('127.0.0.1:1');
  a.control.take(webDeployment, policy('admit', 1));
  a.control.connect('web-0');
  a.control.acknowledge();
  expect(
    await ask(a.census, '/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit'),
  ).toMatchObject({ enforced: 1, of: 1, unreachable: ['127.0.0.1:1'] });
});

test('nobody but control is told who is connected', async () => {
  const ca = await makeTestCa();
  const { address, control } = await start(ca, 'control-a');
  control.take(webDeployment);
  control.connect('web-0');
  const call = async (uri: string, from = ca): Promise<number> => {
    const { keyPem, chainPem } = await svidOf(from, uri);
    const { status } = await requestJson({
      url: `https://${address}/v1/sidecars`,
      method: 'GET',
      ca: ca.certPem,
      key: keyPem,
      cert: chainPem,
      timeoutMs: 2000,
      checkIdentity: () => undefined,
    });
    return status;
  };
  expect(await call(controlIdentity)).toBe(200);
  expect(await call('spiffe://cluster.local/ns/shop/sa/web')).toBe(403);
  expect(await call('spiffe://cluster.local/ns/shop/sa/selvage-control')).toBe(403);
  expect(await call('spiffe://elsewhere/ns/selvage-system/sa/selvage-control')).toBe(403);
  await expect(call(controlIdentity, await makeTestCa())).rejects.toThrow(/v1\/sidecars/);
});

test('a peer that is not control is not believed', async () => {
  const ca = await makeTestCa();
  const a = await start(ca, 'control-a');
  const other = await start(ca, 'liar', 'spiffe://cluster.local/ns/shop/sa/web');
  other.control.take(webDeployment);
  other.control.connect('web-9');
  const { reports, unreachable } = await a.census.take();
  expect(reports.map(({ replica }) => replica)).toEqual(['control-a']);
  expect(unreachable).toEqual([other.address]);
});

test('a pod that is ready and connected to nobody is missing', async () => {
  const ca = await makeTestCa();
  const { control, census } = await start(ca, 'control-a');
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-0',
      namespace: 'shop',
      labels: { app: 'web' },
      annotations: { 'selvage.dev/workload': 'web' },
    },
    spec: { serviceAccountName: 'web', containers: [{ name: 'selvage-proxy' }] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
  control.take(webDeployment, policy('admit', 1), pod);
  const query = '/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit';
  expect(await ask(census, query)).toMatchObject({ enforced: 0, of: 1, missing: ['shop/web-0'] });
  control.connect('web-0');
  control.acknowledge();
  expect(await ask(census, query)).toMatchObject({ enforced: 1, of: 1, missing: [] });
});

async function ask(census: Census, path: string): Promise<unknown> {
  const url = new URL(path, 'http://admin');
  const route = statusRoutes(census).find((one) => one.path === url.pathname);
  const reply = await route?.handler(url.searchParams, '', {});
  return JSON.parse(reply?.body ?? 'null') as unknown;
}

async function svidOf(ca: TestCa, uri: string): Promise<Svid> {
  const { keyPem, certPem, caPem } = await issue(ca, { uri, ip: ['127.0.0.1'] });
  const notAfterMs = Date.now() + 3_600_000;
  return { keyPem, chainPem: certPem, trustBundlePem: caPem, identity: uri, notAfterMs };
}
