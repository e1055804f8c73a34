// What `selvage status` prints of a cluster, and what it answers to the shell.
import { afterEach, beforeEach, expect, test } from 'vitest';

import { status } from '#cli/status.ts';
import { FakeCluster, meshed } from '#test/cli/cluster/fake-cluster.ts';

import { testIo } from './output.ts';

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
  cluster.installControl();
  cluster.namespaceNamed('shop');
});
afterEach(() => cluster.stop());

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  return { status: await status(args, io, cluster.open), out: io.out(), err: io.err() };
}

function sidecar(pod: string, more: object = {}): object {
  const ago = new Date(Date.now() - 5 * 60_000 - 1000).toISOString();
  return {
    namespace: 'shop',
    workload: 'web',
    pod,
    version: '0.1.0',
    connectedSince: ago,
    ackedVersion: 7,
    ackedAt: ago,
    inSync: true,
    refused: null,
    ...more,
  };
}

test('each sidecar has a row, and one replica of control is asked for all', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  cluster.pod({ name: 'web-2', namespace: 'shop' }, meshed());
  cluster.control = (path) => {
    expect(path).toBe('/sidecars');
    return [
      sidecar('web-1', { replica: 'selvage-control-a' }),
      sidecar('web-2', { replica: 'selvage-control-b' }),
    ];
  };
  expect(await run()).toEqual({
    status: 0,
    err: '',
    out: [
      'POD         WORKLOAD  VERSION  IN SYNC     SINCE  CONTROL',
      'shop/web-1  web       0.1.0    snapshot 7  5m     selvage-control-a',
      'shop/web-2  web       0.1.0    snapshot 7  5m     selvage-control-b',
      '2 of 2 sidecars in sync',
      '',
    ].join('\n'),
  });
  expect(cluster.ran.map(({ pod, container }) => [pod, container])).toEqual([
    ['selvage-control-a', 'app'],
  ]);
});

test('--certificates asks each sidecar when its certificate ends', async () => {
  for (const name of ['web-1', 'web-2']) cluster.pod({ name, namespace: 'shop' }, meshed());
  const certificateNotAfter = new Date(Date.now() + 20 * 3_600_000 + 5000).toISOString();
  cluster.control = (_, pod) => {
    if (pod === 'web-2') throw new Error('no such container');
    return pod === 'web-1' ? { certificateNotAfter } : [sidecar('web-1'), sidecar('web-2')];
  };
  const { out } = await run('--certificates');
  const [heading, first, second] = out.split('\n');
  expect(heading).toMatch(/ CERTIFICATE$/);
  expect(first).toMatch(/ ends in 20h$/);
  expect(second).toMatch(/ -$/);
});

function ago(ms: number): string {
  return new Date(Date.now() - ms - 500).toISOString();
}

function endpoint(address: string, health: string): object {
  return { address, health, workload: 'shop/api' };
}

test('--ejections asks each sidecar whom it leaves out, why, and who came back', async () => {
  for (const name of ['web-1', 'web-2', 'web-3']) {
    cluster.pod({ name, namespace: 'shop' }, meshed());
  }
  const event = { workload: 'shop/api', reason: 'consecutive-gateway' };
  const clusters = [
    {
      cluster: 'api.shop.svc.cluster.local:80',
      endpoints: [
        endpoint('10.0.0.1:80', 'ejected'),
        endpoint('10.0.0.2:80', 'healthy'),
        endpoint('10.0.0.3:80', 'failing'),
        endpoint('10.0.0.4:80', 'healthy'),
      ],
      ejections: [
        { ...event, at: ago(90_000), event: 'ejected', address: '10.0.0.2:80', forMs: 30_000 },
        { ...event, at: ago(9000), event: 'returned', address: '10.0.0.2:80', forMs: 0 },
        { ...event, at: ago(5000), event: 'ejected', address: '10.0.0.1:80', forMs: 30_000 },
      ],
    },
  ];
  cluster.control = (_, pod) => {
    if (pod === 'web-3') throw new Error('no such container');
    if (pod === 'web-2') return [];
    return pod === 'web-1' ? clusters : ['web-1', 'web-2', 'web-3'].map((name) => sidecar(name));
  };
  const { out, status: code } = await run('--ejections');
  expect(code).toBe(0);
  expect(out).toContain(
    [
      'shop/web-1:',
      '    10.0.0.1:80 (shop/api) of api.shop.svc.cluster.local:80 ejected 5s ago for at least 30s: gateway errors in a row',
      '    10.0.0.2:80 (shop/api) of api.shop.svc.cluster.local:80 came back 9s ago, after gateway errors in a row',
      '    10.0.0.3:80 (shop/api) of api.shop.svc.cluster.local:80 fails its health checks',
      '3 of 3 sidecars in sync',
    ].join('\n'),
  );
  const json = JSON.parse((await run('--ejections', '--output', 'json')).out) as unknown;
  expect(json).toMatchObject({
    sidecars: [
      { pod: 'web-1', ejections: [{ state: 'ejected', reason: 'consecutive-gateway' }, {}, {}] },
      { pod: 'web-2', ejections: [] },
      { pod: 'web-3', ejections: null },
    ],
  });
});

test('--ejections says when nobody is left out', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  cluster.control = (_, pod) => (pod === 'web-1' ? [] : [sidecar('web-1')]);
  expect((await run('--ejections')).out).toContain('\nno endpoint is left out\n');
});

test('--watch writes what changed, says what fails meanwhile, and ends with how it is', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  const ended = new AbortController();
  const behind = [sidecar('web-1', { inSync: false })];
  let asked = 0;
  cluster.control = () => {
    asked += 1;
    if (asked <= 2) return behind;
    // Either replica is asked before control counts as away.
    if (asked <= 4) throw new Error('the control plane is away');
    ended.abort();
    return [sidecar('web-1')];
  };
  const io = testIo();
  expect(await status(['--watch'], io, cluster.open, () => ended.signal)).toBe(0);
  const tables = io.out().split('\n\n');
  expect(tables.map((text) => text.trim().split('\n').at(-1))).toEqual([
    '0 of 1 sidecar in sync',
    'the control plane is away',
    '1 of 1 sidecar in sync',
  ]);
});

test('a replica that does not answer is passed over', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  cluster.control = (_, pod) => {
    if (pod.endsWith('a')) throw new Error('gone');
    return [sidecar('web-1')];
  };
  expect(await run()).toMatchObject({ status: 0 });
});

test('what is behind, refused, not connected or without a sidecar is said, and ends with 1', async () => {
  cluster.namespaceNamed('shop', { inject: 'true' });
  for (const name of ['a', 'b', 'c']) cluster.pod({ name, namespace: 'shop' }, meshed());
  cluster.pod({ name: 'd', namespace: 'shop' });
  cluster.control = () => [
    sidecar('a', { inSync: false }),
    sidecar('b', { inSync: false, refused: 'no such key' }),
  ];
  const { status, out } = await run();
  expect(status).toBe(1);
  const lines = out.split('\n');
  expect(lines[1]).toMatch(/^shop\/a .* no, keeps 7 /);
  expect(lines[2]).toMatch(/^shop\/b .* no, keeps 7 /);
  expect(lines[3]).toMatch(/^shop\/c +c +0\.1\.0 +not connected +- +-$/);
  expect(lines.slice(4)).toEqual([
    'shop/b refused its newest snapshot: no such key',
    'shop/d has no sidecar: no injector is configured in this cluster',
    '    install Selvage',
    '0 of 3 sidecars in sync; 1 pod without one',
    '',
  ]);
});

test('--output json has the same, for other programs', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed('0.0.9'));
  cluster.control = () => [];
  const { status, out } = await run('--output', 'json');
  expect(status).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    well: false,
    sidecars: [{ namespace: 'shop', pod: 'web-1', connected: false, version: '0.0.9' }],
    missing: [],
  });
});

test('--namespace asks for one namespace only', async () => {
  cluster.namespaceNamed('other');
  cluster.pod({ name: 'x', namespace: 'other' }, meshed());
  expect(await run('-n', 'shop')).toMatchObject({
    status: 0,
    out: 'no pod has a sidecar, and none asks for one\n',
  });
  expect((await run()).out).toMatch('other/x');
});

test('one namespace is enough for whoever may read only that', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  cluster.control = () => [sidecar('web-1')];
  cluster.forbidden.add('/api/v1/namespaces');
  cluster.forbidden.add('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations');
  expect(await run('-n', 'shop')).toMatchObject({ status: 0 });
  expect(await run()).toMatchObject({ status: 2, err: expect.stringContaining('403 Forbidden') });
});

test('no control plane is said in one line', async () => {
  cluster.api.remove('/apis/apps/v1/deployments', 'selvage-control', 'selvage-system');
  const { status, err } = await run();
  expect(status).toBe(2);
  expect(err).toMatch(
    /^selvage status: there is no Deployment selvage-system\/selvage-control .*\n$/,
  );
});

test('a control plane of which no replica is ready is said', async () => {
  for (const name of ['selvage-control-a', 'selvage-control-b']) {
    cluster.pod({ name, namespace: 'selvage-system', labels: { app: 'selvage-control' } }, {}, []);
  }
  const { status, err } = await run();
  expect([status, err]).toEqual([2, expect.stringContaining('no replica of selvage-system')]);
});

test.each([
  [['shop'], 'what is "shop"'],
  [['--output', 'yaml'], '"yaml"'],
  [['--wach'], 'did you mean --watch?'],
])('%j is answered with status 2 and "%s"', async (args, message) => {
  const { status, err } = await run(...args);
  expect(status).toBe(2);
  expect(err).toMatch(message);
});
