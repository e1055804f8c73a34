// What `selvage wait` prints until a resource is enforced.
import { afterEach, beforeEach, expect, test } from 'vitest';

import { wait } from '#cli/wait.ts';
import { FakeCluster } from '#test/cli/cluster/fake-cluster.ts';

import { testIo } from './output.ts';

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
  cluster.installControl();
  const metadata = { name: 'admit', namespace: 'shop' };
  cluster.put('/apis/security.istio.io/v1/authorizationpolicies', { metadata, spec: {} });
});
afterEach(() => cluster.stop());

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  return { status: await wait(args, io, cluster.open), out: io.out(), err: io.err() };
}

test('it waits until all sidecars enforce it, and says how far it is', async () => {
  const answers = [
    { generation: null, enforced: 0, of: 0, missing: [] },
    { generation: 1, enforced: 2, of: 3, missing: ['shop/web-1'], unreachable: ['10.0.0.9:15011'] },
    { generation: 1, enforced: 3, of: 3, missing: [] },
  ];
  cluster.control = (path) => {
    expect(path).toBe('/enforced?kind=AuthorizationPolicy&namespace=shop&name=admit');
    return answers.shift();
  };
  expect(await run('authorizationpolicy/admit')).toEqual({
    status: 0,
    err: '',
    out: [
      'AuthorizationPolicy shop/admit: control has not seen it yet',
      'AuthorizationPolicy shop/admit: 2 of 3 sidecars enforce it; waiting for shop/web-1; control at 10.0.0.9:15011 is silent',
      'AuthorizationPolicy shop/admit: enforced by 3 of 3 sidecars',
      '',
    ].join('\n'),
  });
});

test('a generation that control has not seen is not enforced, whatever the sidecars do', async () => {
  const metadata = { name: 'admit', namespace: 'shop' };
  cluster.put('/apis/security.istio.io/v1/authorizationpolicies', { metadata, spec: { a: 1 } });
  cluster.control = () => ({ generation: 1, enforced: 1, of: 1, missing: [] });
  const { status, err } = await run('AuthorizationPolicy/admit', '--timeout', '10ms');
  expect(status).toBe(1);
  expect(err).toBe(
    'selvage wait: AuthorizationPolicy shop/admit: control has seen generation 1 of 2, after 0.01 s\n',
  );
});

test('a control plane that restarts meanwhile is waited for, one that is not there is not', async () => {
  let asked = 0;
  cluster.control = () => {
    asked += 1;
    // Either replica is asked once.
    if (asked <= 2) throw new Error('connection refused');
    return { generation: 1, enforced: 1, of: 1, missing: [] };
  };
  expect(await run('AuthorizationPolicy/admit')).toMatchObject({
    status: 0,
    out: expect.stringMatching(/: connection refused\n.*: enforced by 1 of 1 sidecar\n$/),
  });
  cluster.api.remove('/apis/apps/v1/deployments', 'selvage-control', 'selvage-system');
  expect(await run('AuthorizationPolicy/admit')).toMatchObject({ status: 2 });
});

test('0 of 0 is told plainly', async () => {
  cluster.control = () => ({ generation: 1, enforced: 0, of: 0, missing: [] });
  expect(await run('AuthorizationPolicies/admit')).toMatchObject({
    status: 0,
    out: expect.stringContaining('0 of 0 sidecars: it applies to no workload that has one'),
  });
});

test.each([
  ['/apis/networking.istio.io/v1/virtualservices', 'VirtualService'],
  ['/apis/networking.istio.io/v1/destinationrules', 'DestinationRule'],
  ['/apis/gateway.networking.k8s.io/v1/httproutes', 'HTTPRoute'],
])('what traffic follows is waited for too: %s', async (path, kind) => {
  cluster.put(path, { metadata: { name: 'pay', namespace: 'shop' }, spec: {} });
  cluster.control = (asked) => {
    expect(asked).toBe(`/enforced?kind=${kind}&namespace=shop&name=pay`);
    return { generation: 1, enforced: 2, of: 2, missing: [] };
  };
  expect(await run(`${kind}/pay`)).toMatchObject({
    status: 0,
    out: `${kind} shop/pay: enforced by 2 of 2 sidecars\n`,
  });
});

test('a policy that is not there is said at once', async () => {
  const { status, err } = await run('AuthorizationPolicy/other', '-n', 'billing');
  expect(status).toBe(2);
  expect(err).toBe('selvage wait: there is no AuthorizationPolicy other in billing\n');
});

test.each([
  [[], 'say what to wait for'],
  [['AuthorizationPolicy'], 'is not KIND/NAME'],
  [['AuthorizationPolcy/x'], 'did you mean AuthorizationPolicy?'],
  [['WorkloadEntry/x'], 'sidecars do not tell which WorkloadEntry they enforce'],
  [['Deployment/x'], 'there is no kind Deployment that sidecars enforce; kinds are'],
  [
    ['AuthorizationPolicy/x', '--timeout', 'soon'],
    '--timeout is a time like 60s or 2m, not "soon"',
  ],
])('%j is answered with status 2 and "%s"', async (args, message) => {
  const { status, err } = await run(...args);
  expect(status).toBe(2);
  expect(err).toMatch(message);
});
