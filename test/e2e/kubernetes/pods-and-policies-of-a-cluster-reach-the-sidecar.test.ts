// Control with no more rights than it needs, beside a real API server whose controllers make the EndpointSlices.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Endpoint, Snapshot } from '#api/snapshot.ts';
import { createKubeClient, KubeError, type KubeClient } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';
import { startTestCa, type TestCa } from '#test/ca/fixture.ts';
import { controlIdentity } from '#test/control/push/fixtures.ts';

import { reachedApiServer } from './api-server.ts';

const access = await reachedApiServer();
const namespace = `control-reads-${process.pid}`;
const core = `/api/v1/namespaces/${namespace}`;
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const policies = `/apis/security.istio.io/v1/namespaces/${namespace}/authorizationpolicies`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';

let folder = '';
let ca: TestCa;
let kube: KubeClient;
let control: ChildProcess | null = null;
let sidecar: ControlClient | null = null;
let madeCrd = false;
const applied: Snapshot[] = [];

beforeEach(async () => {
  if (access === null) return;
  kube = createKubeClient(access);
  folder = await mkdtemp(join(tmpdir(), 'selvage-kubernetes-'));
  ca = await startTestCa();
});

afterEach(async () => {
  if (access === null) return;
  sidecar?.stop();
  if (control?.exitCode === null) {
    control.kill('SIGKILL');
    await once(control, 'exit');
  }
  await gone(`${core}/pods/web-1`);
  await gone(`${core}/pods/pay-1`);
  await gone(`/api/v1/namespaces/${namespace}`);
  await gone(`/api/v1/nodes/${namespace}`);
  await gone(`${rbac}/clusterroles/${namespace}`);
  await gone(`${rbac}/clusterrolebindings/${namespace}`);
  if (madeCrd) await gone(`${crds}/authorizationpolicies.security.istio.io`);
  await Promise.all([ca.close(), kube.close(), rm(folder, { recursive: true })]);
});

async function gone(path: string): Promise<void> {
  await kube.delete(path, { gracePeriodSeconds: '0' }).catch((error: unknown) => {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
  });
}

/** An account that may do what the manifests let control do, its token and what else a pod has of it. */
async function makeAccount(): Promise<void> {
  await kube.create('/api/v1/namespaces', { metadata: { name: namespace } });
  const zone = { 'topology.kubernetes.io/zone': 'zone-a' };
  await kube.create('/api/v1/nodes', { metadata: { name: namespace, labels: zone } });
  await kube.create(`${core}/serviceaccounts`, { metadata: { name: 'control' } });
  await kube.create(`${core}/serviceaccounts`, { metadata: { name: 'web' } });
  await kube.create(`${core}/serviceaccounts`, { metadata: { name: 'other' } });
  const verbs = ['get', 'list', 'watch'];
  await kube.create(`${rbac}/clusterroles`, {
    metadata: { name: namespace },
    rules: [
      { apiGroups: [''], resources: ['pods', 'services'], verbs },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs },
      {
        apiGroups: ['security.istio.io'],
        resources: ['authorizationpolicies', 'requestauthentications', 'peerauthentications'],
        verbs,
      },
      { apiGroups: ['networking.istio.io'], resources: ['serviceentries'], verbs },
      { apiGroups: ['selvage.dev'], resources: ['*'], verbs },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['istio'], verbs },
    ],
  });
  await kube.create(`${rbac}/clusterrolebindings`, {
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: namespace },
    subjects: [{ kind: 'ServiceAccount', name: 'control', namespace }],
  });
  const { status } = await kube.create<{ status: { token: string } }>(
    `${core}/serviceaccounts/control/token`,
    { spec: { expirationSeconds: 3600 } },
  );
  const sub = 'system:serviceaccount:selvage-system:selvage-control';
  await Promise.all([
    writeFile(join(folder, 'token'), status.token),
    writeFile(join(folder, 'ca.crt'), access?.caPem ?? ''),
    writeFile(join(folder, 'namespace'), namespace),
    writeFile(join(folder, 'control-token'), await ca.tokens.make({ sub })),
    writeFile(join(folder, 'bundle.pem'), await ca.bundle()),
  ]);
}

async function startControl(): Promise<{ port: number; adminPort: number }> {
  control = spawn(process.execPath, ['control/main.ts'], {
    env: {
      PATH: process.env['PATH'],
      SELVAGE_CONTROL_LISTEN: '127.0.0.1:0',
      SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
      SELVAGE_KUBERNETES: access?.server,
      SELVAGE_KUBERNETES_DIR: folder,
      SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
      SELVAGE_TOKEN_FILE: join(folder, 'control-token'),
      SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { promise, resolve } = Promise.withResolvers<{ port: number; adminPort: number }>();
  if (control.stdout === null) throw new Error('no output to read');
  createInterface(control.stdout).on('line', (line) => {
    if (line.includes('control ready')) {
      resolve(JSON.parse(line) as { port: number; adminPort: number });
    }
  });
  return promise;
}

async function connect(port: number): Promise<void> {
  const { keyPem, csrPem } = createKeyAndCsr();
  const token = await ca.tokens.make({ sub: `system:serviceaccount:${namespace}:web` });
  const { body } = await ca.sign({ csr: csrPem, token });
  sidecar = new ControlClient({
    url: new URL(`https://127.0.0.1:${port}`),
    namespace,
    workload: 'web',
    pod: 'web-1',
    version: 'test',
    controlIdentity,
    credentials: () => ({ key: keyPem, cert: body.chain, ca: body.trustBundle }),
    apply: (snapshot) => applied.push(snapshot),
    log: silentLog,
  });
  sidecar.start().catch(() => undefined);
}

async function makePod(name: string, account: string, ip: string): Promise<void> {
  await kube.create(`${core}/pods`, {
    metadata: {
      name,
      labels: { app: name.replace(/-\d$/, '') },
      annotations: { 'selvage.dev/workload': name.replace(/-\d$/, '') },
    },
    spec: {
      serviceAccountName: account,
      initContainers: [{ name: 'selvage-proxy', image: 'none:dev', restartPolicy: 'Always' }],
      containers: [
        { name: 'app', image: 'none:dev', ports: [{ name: 'main', containerPort: 8080 }] },
      ],
      // No kubelet is there: what it would say of the pod, this test says.
      nodeName: namespace,
    },
  });
  const status = {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  await kube.patch(`${core}/pods/${name}/status`, { status }, 'strategic');
}

async function until<T>(what: string, ask: () => T, holds: (got: T) => boolean): Promise<void> {
  const endMs = Date.now() + 30_000;
  for (;;) {
    const got = ask();
    if (holds(got)) return;
    if (Date.now() > endMs) throw new Error(`did not happen: ${what}; now ${JSON.stringify(got)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function behindPay(): readonly Endpoint[] {
  const pay = applied
    .at(-1)
    ?.services.find((one) => one.name === 'pay' && one.namespace === namespace);
  return pay?.ports[0]?.endpoints ?? [];
}

function policiesNow(): readonly string[] {
  return (applied.at(-1)?.policies ?? []).map(
    ({ metadata, spec }) => `${metadata.name} ${JSON.stringify(spec).match(/"\/\w+"/)?.[0]}`,
  );
}

function policy(path: unknown): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'allow', namespace },
    spec: { rules: [{ to: [{ operation: { paths: path } }] }] },
  };
}

/** As much of Istio's as the API server needs to serve it. */
async function installCrd(): Promise<void> {
  const names = { kind: 'AuthorizationPolicy', plural: 'authorizationpolicies' };
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  try {
    await kube.create(crds, {
      metadata: { name: 'authorizationpolicies.security.istio.io' },
      spec: {
        group: 'security.istio.io',
        scope: 'Namespaced',
        names: { ...names, listKind: 'AuthorizationPolicyList', singular: 'authorizationpolicy' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: {
              openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } },
            },
          },
        ],
      },
    });
    madeCrd = true;
  } catch (error) {
    if (!(error instanceof KubeError) || error.reason !== 'AlreadyExists') throw error;
  }
}

async function createPolicy(): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await kube.create(policies, policy(['/one']));
      return;
    } catch (error) {
      // It takes the API server a moment to serve a new kind.
      if (tries === 100 || !(error instanceof KubeError) || error.status !== 404) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

test.runIf(access !== null)(
  'pods, EndpointSlices and policies of a real API server become the snapshot of a sidecar',
  { timeout: 120_000 },
  async () => {
    await makeAccount();
    const { port, adminPort } = await startControl();
    await connect(port);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(applied).toEqual([]);
    await makePod('web-1', 'web', '10.200.0.1');
    await until(
      'a snapshot',
      () => applied.length,
      (count) => count > 0,
    );

    const ports = [{ name: 'http', port: 80, targetPort: 'main' }];
    await kube.create(`${core}/services`, {
      metadata: { name: 'pay' },
      spec: { selector: { app: 'pay' }, ports },
    });
    await makePod('pay-1', 'web', '10.200.0.2');
    await until('an endpoint', behindPay, (found) => found.length === 1);
    expect(behindPay()[0]).toMatchObject({
      address: '10.200.0.2',
      port: 8080,
      identity: `spiffe://cluster.local/ns/${namespace}/sa/web`,
      workload: 'pay',
      zone: 'zone-a',
      node: namespace,
    });

    // The same name and address again, under another account: never the old identity for the new pod.
    await kube.delete(`${core}/pods/pay-1`, { gracePeriodSeconds: '0' });
    await until('no endpoint', behindPay, (found) => found.length === 0);
    const before = applied.length;
    await makePod('pay-1', 'other', '10.200.0.2');
    await until('the other identity', behindPay, (found) => found.length === 1);
    const seen = applied
      .slice(before)
      .flatMap(({ services }) => services.filter(({ name }) => name === 'pay'))
      .flatMap((one) => one.ports[0]?.endpoints.map(({ identity }) => identity) ?? []);
    expect(new Set(seen)).toEqual(new Set([`spiffe://cluster.local/ns/${namespace}/sa/other`]));

    await installCrd();
    await createPolicy();
    await until('the policy', policiesNow, (found) => found.includes('allow "/one"'));
    expect(applied.at(-1)?.policies[0]?.metadata.generation).toBe(1);
    await kube.patch(`${policies}/allow`, policy(['/two']), 'merge');
    await until('its change', policiesNow, (found) => found.includes('allow "/two"'));
    await kube.patch(`${policies}/allow`, policy('no list'), 'merge');
    const problems = async (): Promise<string> =>
      (await fetch(`http://127.0.0.1:${adminPort}/problems`)).text();
    for (let i = 0; i < 250 && !(await problems()).includes('last-good-kept'); i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await problems()).toContain('"resource": "AuthorizationPolicy control-reads-');
    expect(policiesNow()).toEqual(['allow "/two"']);
    await kube.delete(`${policies}/allow`);
    await until('its end', policiesNow, (found) => found.length === 0);
  },
);
