// CA processes of this source tree against a real API server, in a namespace of their own, with the rights of their account only.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SigningRefusal, SigningReply } from '#api/signing.ts';
import { requestJson } from '#runtime/h2-json.ts';
import type { ClusterAccess } from '#runtime/kubernetes/access.ts';
import {
  createKubeClient,
  KubeError,
  type KubeClient,
  type KubeObject,
} from '#runtime/kubernetes/client.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { reachedApiServer } from './api-server.ts';

export interface RunningCa {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
  readonly lines: readonly string[];
}

export interface BoundToken {
  /** Name of a service account in the rig's namespace. */
  readonly account?: string;
  readonly audience?: string;
  readonly pod?: KubeObject;
}

export interface CaRig {
  readonly client: KubeClient;
  readonly namespace: string;
  startCa(pod: string): Promise<RunningCa>;
  /** A Pod object; nothing has to run it. */
  createPod(account: string): Promise<KubeObject>;
  deletePod(pod: KubeObject): Promise<void>;
  createAccount(name: string): Promise<void>;
  token(options?: BoundToken): Promise<string>;
  sign(ca: RunningCa, token: string, csr?: string): Promise<SignReply>;
  roots(): Promise<string>;
  bundleIn(namespace: string): Promise<string | null>;
  close(): Promise<void>;
}

export interface SignReply {
  readonly status: number;
  readonly body: SigningReply & SigningRefusal;
}

/**
 * Why these tests cannot run here; null: they can. They write the trust bundle of every namespace, so a mesh that is installed
 * must not meet them.
 */
export async function reasonToSkip(): Promise<string | null> {
  const access = await reachedApiServer();
  if (access === null) return 'there is no cluster';
  const client = createKubeClient(access);
  try {
    await client.get('/apis/apps/v1/namespaces/selvage-system/deployments/selvage-ca');
    return 'a CA is installed in this cluster already; these tests start their own';
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return null;
    throw error;
  } finally {
    await client.close();
  }
}

export async function startCaRig(): Promise<CaRig> {
  const access = await reachedApiServer();
  if (access === null) throw new Error('there is no cluster: ask reasonToSkip first');
  const client = createKubeClient(access);
  const namespace = `selvage-ca-${randomBytes(4).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), 'selvage-ca-e2e-'));
  const children: ChildProcess[] = [];
  const core = `/api/v1/namespaces/${namespace}`;
  await client.create('/api/v1/namespaces', { metadata: { name: namespace } });
  const rig: CaRig = {
    client,
    namespace,
    createAccount: async (name) => {
      await client.create(`${core}/serviceaccounts`, { metadata: { name } });
    },
    createPod: (account) => client.create(`${core}/pods`, podOf(account)),
    deletePod: (pod) =>
      client.delete(`${core}/pods/${pod.metadata.name}`, { gracePeriodSeconds: '0' }),
    async token({ account = 'orders', audience = 'selvage-ca', pod } = {}) {
      const boundObjectRef = pod && {
        kind: 'Pod',
        apiVersion: 'v1',
        name: pod.metadata.name,
        uid: pod.metadata.uid,
      };
      const { status } = await client.create<{ status: { token: string } }>(
        `${core}/serviceaccounts/${account}/token`,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { audiences: [audience], expirationSeconds: 600, boundObjectRef },
        },
      );
      return status.token;
    },
    startCa: (pod) => startCa(accountFolder(folder), pod, children),
    async sign(ca, token, csr = createKeyAndCsr().csrPem) {
      const reply = await requestJson({
        url: `https://localhost:${ca.port}/v1/certificates`,
        method: 'POST',
        body: { csr },
        bearer: token,
        ca: await rig.roots(),
        timeoutMs: 10_000,
      });
      return { status: reply.status, body: reply.body as SigningReply & SigningRefusal };
    },
    async roots() {
      const secret = await client.get<KubeObject>(`${core}/secrets/selvage-ca-root`);
      const data = secret['data'] as Record<string, string>;
      const text = Buffer.from(data['issuers.json'] ?? '', 'base64').toString('utf8');
      const { issuers } = JSON.parse(text) as { issuers: { rootPem: string }[] };
      return issuers.map(({ rootPem }) => rootPem).join('');
    },
    bundleIn: (name) => bundleIn(client, name),
    close: () => close(rig, children, folder),
  };
  await allow(client, namespace);
  await rig.createAccount('selvage-ca');
  await rig.createAccount('orders');
  const own = await rig.token({
    account: 'selvage-ca',
    audience: 'https://kubernetes.default.svc.cluster.local',
  });
  writeAccount(accountFolder(folder), access, namespace, own);
  return rig;
}

function accountFolder(folder: string): string {
  return join(folder, 'account');
}

function writeAccount(
  folder: string,
  { server, caPem }: ClusterAccess,
  namespace: string,
  token: string,
): void {
  mkdirSync(folder);
  writeFileSync(join(folder, 'token'), token);
  writeFileSync(join(folder, 'ca.crt'), caPem);
  writeFileSync(join(folder, 'namespace'), namespace);
  writeFileSync(join(folder, 'server'), server);
}

async function startCa(account: string, pod: string, children: ChildProcess[]): Promise<RunningCa> {
  const child = spawn(process.execPath, ['ca/main.ts'], {
    env: {
      PATH: process.env['PATH'],
      SELVAGE_CA_LISTEN: '127.0.0.1:0',
      SELVAGE_CA_ADMIN: '127.0.0.1:0',
      SELVAGE_KUBERNETES: readFileSync(join(account, 'server'), 'utf8'),
      SELVAGE_KUBERNETES_DIR: account,
      SELVAGE_POD: pod,
      SELVAGE_DRAIN_TIMEOUT_MS: '200',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: string[] = [];
  const ready = Promise.withResolvers<{ port: number; adminPort: number }>();
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (line.includes('ca ready')) {
      ready.resolve(JSON.parse(line) as { port: number; adminPort: number });
    }
  });
  child.once('exit', (code) => ready.reject(new Error(`ended with ${code}: ${lines.join('\n')}`)));
  const { port, adminPort } = await ready.promise;
  return { child, lines, port, adminPort };
}

async function bundleIn(client: KubeClient, namespace: string): Promise<string | null> {
  try {
    const path = `/api/v1/namespaces/${namespace}/configmaps/selvage-ca-root-cert`;
    const { data } = await client.get<{ data?: Record<string, string> }>(path);
    return data?.['root-cert.pem'] ?? null;
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return null;
    throw error;
  }
}

async function close(rig: CaRig, children: ChildProcess[], folder: string): Promise<void> {
  const { client, namespace } = rig;
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await client.delete(`${rbac}/clusterrolebindings/${namespace}`);
  await client.delete(`${rbac}/clusterroles/${namespace}`);
  await client.delete(`/api/v1/namespaces/${namespace}`);
  for (const key of await namesOf(client)) {
    const path = `/api/v1/namespaces/${key}/configmaps/selvage-ca-root-cert`;
    await client.delete(path).catch(() => undefined);
  }
  await client.close();
  rmSync(folder, { recursive: true });
}

async function namesOf(client: KubeClient): Promise<string[]> {
  const { items } = await client.get<{ items: KubeObject[] }>('/api/v1/namespaces');
  return items.map(({ metadata }) => metadata.name);
}

/** What the CA may do, and nothing else: manifests/base must give the same. */
const clusterRules = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: ['selvage-ca-root-cert'],
    verbs: ['list', 'watch', 'patch'],
  },
];
const ownRules = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  {
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: ['selvage-ca-root'],
    verbs: ['get', 'update'],
  },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['cacerts'], verbs: ['get'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: ['selvage-ca'],
    verbs: ['get', 'update'],
  },
];

async function allow(client: KubeClient, namespace: string): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const own = `${rbac}/namespaces/${namespace}`;
  const apiGroup = 'rbac.authorization.k8s.io';
  const subjects = [{ kind: 'ServiceAccount', name: 'selvage-ca', namespace }];
  const metadata = { name: namespace };
  await client.create(`${rbac}/clusterroles`, { metadata, rules: clusterRules });
  await client.create(`${rbac}/clusterrolebindings`, {
    metadata,
    subjects,
    roleRef: { apiGroup, kind: 'ClusterRole', name: namespace },
  });
  await client.create(`${own}/roles`, { metadata, rules: ownRules });
  await client.create(`${own}/rolebindings`, {
    metadata,
    subjects,
    roleRef: { apiGroup, kind: 'Role', name: namespace },
  });
}

function podOf(serviceAccountName: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: `${serviceAccountName}-` },
    spec: {
      serviceAccountName,
      // Nothing has to run: no node has this name.
      nodeSelector: { 'selvage.dev/never': 'true' },
      containers: [{ name: 'app', image: 'none:dev' }],
    },
  };
}
