// What `selvage doctor` gathers of a cluster, and what it answers to the shell.
import { afterEach, beforeEach, expect, test } from 'vitest';

import { pluralOf } from '#api/kinds/plural.ts';
import { kinds } from '#api/kinds/table.ts';
import { doctor } from '#cli/doctor.ts';
import { FakeCluster, meshed } from '#test/cli/cluster/fake-cluster.ts';
import { status } from '#test/runtime/kubernetes/fake-api.ts';
import { makeTestCa } from '#test/tls/fixtures.ts';

import { testIo } from './output.ts';

const { certPem: root } = await makeTestCa('mesh', 365);
const inAnHour = new Date(Date.now() + 20 * 3_600_000).toISOString();
const wantedCrds = [...kinds.values()]
  .filter(({ complete }) => complete)
  .map(({ group, kind, versions }) => [group, kind, pluralOf(kind), versions[0] ?? ''] as const);

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
  cluster.answers.set('GET /version', { status: 200, body: { gitVersion: 'v1.34.4' } });
  const spec = { initContainers: [{ name: 'selvage-proxy' }], containers: [{ name: 'app' }] };
  const injected = { metadata: { name: 'x' }, spec };
  cluster.answers.set('POST /api/v1/namespaces/shop/pods', { status: 201, body: injected });
  cluster.installControl();
  for (const name of ['selvage-ca', 'selvage-injector']) deployment(name);
  for (const name of ['shop', 'selvage-system', 'kube-system']) cluster.namespaceNamed(name);
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  for (const namespace of ['shop', 'selvage-system']) bundle(namespace, root);
  webhook('mutatingwebhookconfigurations', root);
  webhook('validatingwebhookconfigurations', root);
  for (const [group, kind, plural, version] of wantedCrds) crd(group, kind, plural, version);
  cluster.control = answerOf;
});
afterEach(() => cluster.stop());

/** The programs that run in pods are told by what they are about. */
function answerOf(path: string, pod: string): unknown {
  if (pod === 'web-1') return { certificateNotAfter: inAnHour };
  if (path === '/sidecars') {
    return [{ namespace: 'shop', workload: 'web', pod: 'web-1', ackedVersion: 1, inSync: true }];
  }
  const parts = ['selvage-ca', 'selvage-control', 'selvage-injector'];
  const ports = [15012, 15011, 443];
  return parts.map((name, i) => ({ to: `${name}.selvage-system.svc:${ports[i]}`, ends: inAnHour }));
}

function deployment(name: string): void {
  const containers = [{ name, image: 'selvage/selvage:0.1.0' }];
  cluster.put('/apis/apps/v1/deployments', {
    metadata: { name, namespace: 'selvage-system' },
    spec: { replicas: 2, template: { spec: { containers } } },
    status: { readyReplicas: 2 },
  });
}

function bundle(namespace: string, pem: string): void {
  const metadata = { name: 'selvage-ca-root-cert', namespace };
  cluster.put('/api/v1/configmaps', { metadata, data: { 'root-cert.pem': pem } });
}

function webhook(plural: string, pem: string): void {
  const caBundle = Buffer.from(pem).toString('base64');
  cluster.put(`/apis/admissionregistration.k8s.io/v1/${plural}`, {
    metadata: {
      name: 'selvage-injector',
      labels: { 'app.kubernetes.io/part-of': 'selvage' },
      creationTimestamp: '2020-01-01T00:00:00Z',
    },
    webhooks: [{ name: 'a', clientConfig: { caBundle } }],
  });
}

function crd(group: string, kind: string, plural: string, version: string): void {
  cluster.put('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: `${plural}.${group}` },
    spec: { group, names: { kind }, versions: [{ name: version, served: true }] },
    status: { conditions: [{ type: 'Established', status: 'True' }] },
  });
}

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = testIo();
  return { status: await doctor(args, io, cluster.open), out: io.out(), err: io.err() };
}

test('an installation in order ends with 0, and everything was looked at', async () => {
  const { status, out, err } = await run();
  expect({ status, err }).toEqual({ status: 0, err: '' });
  expect(out).toMatch(/^no problem, 0 warnings$/m);
  expect(out).not.toMatch(/^\?/m);
  expect(out).toMatch('✓ injection: a pod that asks for a sidecar gets one (dry run in shop)');
  expect(out).toMatch('the certificate of selvage-injector ends in 19h');
  expect(out).toMatch('of 1 sidecar asked, ends in 19h');
});

test('a namespace that is being deleted may lack its trust bundle, and no other may', async () => {
  const metadata = { name: 'going', deletionTimestamp: '2026-11-01T00:00:00Z' };
  cluster.put('/api/v1/namespaces', { metadata });
  expect((await run()).status).toBe(0);
  cluster.namespaceNamed('staying');
  expect((await run()).out).toMatch(
    '1 namespace without the trust bundle, where no sidecar can start: staying',
  );
});

test('the pod that is tried is stored nowhere', async () => {
  await run();
  const posts = cluster.api.seen.filter(({ method }) => method === 'POST');
  expect(posts).toMatchObject([{ path: '/api/v1/namespaces/shop/pods', query: { dryRun: 'All' } }]);
  expect(cluster.api.seen.filter(({ method }) => !['GET', 'POST'].includes(method))).toEqual([]);
});

test('a webhook that nobody answers ends with 1, in the words of the API server', async () => {
  const said = 'failed calling webhook "pod.injector.selvage.dev": connect: connection refused';
  const refusal = status(500, 'InternalError', said);
  cluster.answers.set('POST /api/v1/namespaces/shop/pods', refusal);
  const { status: code, out } = await run('--output', 'json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    problems: 1,
    findings: expect.arrayContaining([
      expect.objectContaining({ check: 'injection', message: expect.stringContaining(said) }),
    ]),
  });
});

test('what may not be read is said, and the rest is still looked at', async () => {
  cluster.forbidden.add('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations');
  const no = 'pods is forbidden: User "x" cannot create resource "pods"';
  cluster.answers.set('POST /api/v1/namespaces/shop/pods', status(403, 'Forbidden', no));
  const { status: code, out } = await run();
  expect(code).toBe(0);
  expect(out).toMatch(/^\? webhook: cannot be told: .*403 Forbidden/m);
  expect(out).toMatch(/^\? injection: cannot be told: .*cannot create resource/m);
  expect(out).toMatch(/^no problem, 0 warnings, 2 not told$/m);
});

test('without a control plane the doctor says what else is wrong', async () => {
  for (const name of ['selvage-ca', 'selvage-control', 'selvage-injector']) {
    cluster.api.remove('/apis/apps/v1/deployments', name, 'selvage-system');
  }
  const { status: code, out } = await run();
  expect(code).toBe(1);
  expect(out).toMatch(/^✗ installation: Selvage is not installed/m);
  expect(out).toMatch(/^\? in-sync: cannot be told: there is no Deployment/m);
});

test('an API server that is not there ends with 2', async () => {
  cluster.answers.set('GET /version', status(503, 'ServiceUnavailable', 'starting'));
  expect(await run()).toMatchObject({
    status: 2,
    out: '',
    err: expect.stringMatching(/^selvage doctor: .*starting/),
  });
});

test.each([
  [['shop'], 'what is "shop"'],
  [['-o', 'x'], '"x"'],
])('%j is wrong usage', async (args, message) => {
  const { status: code, err } = await run(...args);
  expect(code).toBe(2);
  expect(err).toMatch(message);
});
