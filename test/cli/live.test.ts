// `check --live` and `explain --live`: the same words about a cluster as about files.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { check } from '#cli/check.ts';
import { explain } from '#cli/explain.ts';
import { FakeCluster, meshed } from '#test/cli/cluster/fake-cluster.ts';

import { testIo } from './output.ts';

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
  cluster.namespaceNamed('shop');
  const container = { name: 'web', ports: [{ containerPort: 8080 }] };
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } };
  cluster.put('/apis/apps/v1/deployments', {
    metadata: { name: 'web', namespace: 'shop', annotations: { inject: 'true' }, uid: 'd' },
    spec: { selector: { matchLabels: { app: 'web' } }, template },
  });
  for (const name of ['web-5d9-a', 'web-5d9-b']) {
    const ownerReferences = [{ kind: 'ReplicaSet', name: 'web-5d9', uid: 'r', controller: true }];
    const labels = { app: 'web', 'pod-template-hash': '5d9' };
    cluster.pod({ name, namespace: 'shop', labels, ownerReferences });
  }
});
afterEach(() => cluster.stop());

function policy(name: string, spec: object): void {
  const metadata = { name, namespace: 'shop' };
  cluster.put('/apis/security.istio.io/v1/authorizationpolicies', { metadata, spec });
}

async function run(
  command: typeof check | typeof explain,
  ...args: string[]
): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  const status = await command(args, io, cluster.open);
  return { status, out: io.out(), err: io.err() };
}

test('check --live finds what check finds, and names the resource where a file has its line', async () => {
  policy('loose', { selector: { matchLabels: { app: 'wbe' } }, action: 'ALLOW' });
  const { status, out } = await run(check, '--live');
  expect(status).toBe(0);
  expect(out).toMatch(
    /^warning: AuthorizationPolicy shop\/loose: no workload in shop .*\[selector-matches-nothing\]$/m,
  );
  expect(out).toMatch(/1 warning in 3 resources of the cluster\n$/);
});

test('a resource that is wrong is an error, as in a file', async () => {
  policy('bad', { action: 'DENY' });
  const { status, out } = await run(check, '--live', '--output', 'json');
  expect(status).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    errors: 1,
    files: 0,
    problems: [{ code: 'rules-missing', resource: 'AuthorizationPolicy shop/bad' }],
  });
});

test('explain --live judges by what the cluster has', async () => {
  policy('admit', { rules: [{ to: [{ operation: { methods: ['POST'] } }] }] });
  const call = ['--live', '--from', 'shop/default', '--to', 'shop/web'];
  const allowed = await run(explain, ...call, '--method', 'POST');
  expect(allowed.status).toBe(0);
  expect(allowed.out).toMatch('allowed by shop/admit rule 0 (AuthorizationPolicy shop/admit)');
  const denied = await run(explain, ...call);
  expect(denied.status).toBe(1);
  expect(denied.out).toMatch('nearest: shop/admit rule 0 (AuthorizationPolicy shop/admit)');
});

test('explain --live names the route, and the pods behind it by their addresses', async () => {
  const ports = [{ name: 'http', port: 8080 }];
  const route = [{ destination: { host: 'web' } }];
  const spec = { hosts: ['web'], http: [{ timeout: '3s', route }] };
  const endpoints = [
    {
      addresses: ['10.1.0.7'],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', name: 'web-5d9-c', namespace: 'shop' },
    },
  ];
  const container = { name: 'web', ports: [{ containerPort: 8080 }] };
  const owned = { app: 'web', 'pod-template-hash': '5d9' };
  cluster.put('/api/v1/pods', {
    metadata: {
      name: 'web-5d9-c',
      namespace: 'shop',
      labels: owned,
      ownerReferences: [owner('ReplicaSet', 'r')],
    },
    spec: { containers: [container] },
    status: {
      phase: 'Running',
      podIP: '10.1.0.7',
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  const named = { name: 'web', namespace: 'shop' };
  cluster.put('/api/v1/services', {
    metadata: named,
    spec: { selector: { app: 'web' }, ports: [{ ...ports[0], targetPort: 8080 }] },
  });
  cluster.put('/apis/networking.istio.io/v1/virtualservices', { metadata: named, spec });
  cluster.put('/apis/discovery.k8s.io/v1/endpointslices', {
    metadata: { ...named, labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports,
    endpoints,
  });
  const { out } = await run(explain, '--live', '--from', 'shop/default', '--to', 'shop/web');
  expect(out).toContain(
    [
      '  route: VirtualService shop/web, spec.http[0]',
      '    timeout 3s',
      '    100 % to web.shop.svc.cluster.local:8080: 1 endpoint (10.1.0.7:8080)',
    ].join('\n'),
  );
});

describe('with sidecars that answer', () => {
  const call = ['--live', '--from', 'shop/default', '--to', 'shop/web'];
  const allowed = {
    snapshot: 7,
    mtls: 'PERMISSIVE',
    decision: 'allow',
    status: 200,
    details: '',
    explanation: {
      verdict: { allowed: true, decidedBy: 'ALLOW', namespace: 'shop', policy: 'old', rule: 0 },
      summary: 'allowed by shop/old rule 0 (AuthorizationPolicy shop/old)',
      at: 'AuthorizationPolicy shop/old',
      nearest: null,
      audited: [],
      dryRun: [],
    },
  };
  const denied = {
    ...allowed,
    snapshot: 9,
    decision: 'deny',
    status: 403,
    explanation: {
      ...allowed.explanation,
      verdict: { allowed: false, decidedBy: 'DENY', namespace: 'shop', policy: 'new', rule: 1 },
      summary: 'denied by shop/new rule 1\u001B[2J',
    },
  };

  beforeEach(() => {
    for (const name of ['web-5d9-a', 'web-5d9-b']) {
      const labels = { app: 'web', 'pod-template-hash': '5d9' };
      const ownerReferences = [{ kind: 'ReplicaSet', name: 'web-5d9', uid: 'r', controller: true }];
      cluster.pod({ name, namespace: 'shop', labels, ownerReferences }, meshed());
    }
  });

  test('they are asked what they enforce, all of them, about the call as they would see it', async () => {
    cluster.control = () => allowed;
    const { status, out, err } = await run(explain, ...call, '--method', 'POST', '--path', '/a');
    expect([status, err]).toEqual([0, `asking the cluster at ${cluster.server}\n`]);
    expect(out).toMatch(/^✓ ALLOWED {2}POST \/a from shop\/default to shop\/web:8080\n/);
    expect(out).toMatch('  allowed by shop/old rule 0 (AuthorizationPolicy shop/old)\n');
    expect(out).toMatch('  enforced by shop/web-5d9-a (snapshot 7), shop/web-5d9-b (snapshot 7)\n');
    const asked = cluster.ran.map(({ command }) => command.slice(3));
    expect(asked.map(([path, how]) => [path, how])).toEqual([
      ['/explain', 'post'],
      ['/explain', 'post'],
    ]);
    expect(JSON.parse(asked[0]?.[2] ?? '')).toMatchObject({
      port: 8080,
      method: 'POST',
      path: '/a',
      identities: ['spiffe://cluster.local/ns/shop/sa/default'],
      token: null,
    });
  });

  test('replicas that differ are told of, and so is what the resources say meanwhile', async () => {
    policy('new', { action: 'DENY', rules: [{}] });
    cluster.control = (_body, pod) => (pod === 'web-5d9-a' ? allowed : denied);
    const { status, out } = await run(explain, ...call);
    expect(status).toBe(1);
    expect(out).toMatch('✓ ALLOWED');
    expect(out).toMatch('  enforced by shop/web-5d9-a (snapshot 7)\n');
    const odd = String.raw`denied by shop/new rule 1\x1b[2J`;
    expect(out).toMatch(`  shop/web-5d9-b (snapshot 9) says otherwise: deny, ${odd}\n`);
    expect(out).toMatch(
      'note: by the resources as they are now it is deny (denied by shop/new rule 0',
    );
  });

  test('as JSON, each answer is there', async () => {
    cluster.control = () => denied;
    const { out } = await run(explain, ...call, '--output', 'json');
    expect(JSON.parse(out)).toMatchObject({
      decision: 'deny',
      enforced: [
        { pod: 'shop/web-5d9-a', snapshot: 9, decision: 'deny' },
        { pod: 'shop/web-5d9-b' },
      ],
    });
  });

  test('where none answers, the resources count, and that is said', async () => {
    cluster.control = () => ({ odd: true });
    const { status, out, err } = await run(explain, ...call);
    expect(status).toBe(0);
    expect(out).not.toMatch('enforced by');
    expect(err).toMatch('the sidecar of shop/web-5d9-a gives no decision\n');
    expect(err).toMatch('no sidecar of shop/web answers: this is what the resources say');
  });
});

test('the pods of a workload are no workloads of their own; others are', async () => {
  cluster.pod({ name: 'job-x', namespace: 'shop', ownerReferences: [owner('Job', 'j')] });
  cluster.pod({ name: 'job-y', namespace: 'shop', ownerReferences: [owner('Job', 'j')] });
  const { err } = await run(explain, '--live', '--from', 'none', '--to', 'shop/nobody');
  expect(err).toMatch('workloads are shop/web, shop/job-x\n');
});

test("the mesh's configuration is the one of its ConfigMap", async () => {
  const data = { mesh: 'trustDomain: corp' };
  const metadata = { name: 'istio', namespace: 'selvage-system' };
  cluster.put('/api/v1/configmaps', { metadata, data });
  const call = ['--live', '--from', 'shop/default', '--to', 'shop/web', '--output', 'json'];
  const { out } = await run(explain, ...call);
  expect(JSON.parse(out)).toMatchObject({
    call: { source: { identity: 'corp/ns/shop/sa/default' } },
  });
});

test.each([
  [check, ['--live', 'a.yaml'], '--live reads the cluster in place of files'],
  [explain, ['--live', 'a.yaml', '--from', 'none', '--to', 'shop/web'], '--live takes no PATH'],
  [explain, ['--live', '--to', 'shop/web'], 'say who calls'],
  [explain, ['--mesh', 'shop', 'a.yaml'], '--mesh goes with --live'],
])('%o %j is wrong usage', async (command, args, message) => {
  const { status, err } = await run(command, ...args);
  expect(status).toBe(2);
  expect(err).toMatch(message);
});

test('a kind that may not be listed ends with 2: half the policies would be no answer', async () => {
  cluster.forbidden.add('/apis/security.istio.io/v1/authorizationpolicies');
  const { status, err, out } = await run(check, '--live');
  expect([status, out]).toEqual([2, '']);
  expect(err).toMatch(/^selvage check: .*403 Forbidden/);
});

function owner(kind: string, uid: string): object {
  return { kind, name: uid, uid, controller: true };
}
