// What a sidecar costs a pod in the cluster that KUBECONFIG names: time from creation to ready, and resident memory.
import { setTimeout as sleep } from 'node:timers/promises';

import { type Cluster, openCluster } from '#cli/cluster/cluster.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';

const rounds = 10;
const settleMs = 10_000;
const calls = 20_000;
const readyTimeoutMs = 120_000;
const image = 'selvage/shop:dev';

interface ContainerStatus {
  readonly name: string;
  readonly started?: boolean;
  readonly state?: { readonly terminated?: object };
}

interface PodStatus {
  readonly podIP?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

/** Ms since the pod was asked for; null where the pod has no such container. */
interface Start {
  readonly scheduledMs: number;
  readonly initMs: number | null;
  readonly sidecarMs: number | null;
  readonly readyMs: number;
}

interface Resident {
  /** All of it, in MB: with the pages of Node's program file, which pods of a node share. */
  readonly all: number;
  readonly anonymous: number;
}

/** `npm run bench -- kubernetes`. Selvage and the image of `npm run image` are in the cluster. */
export async function main(): Promise<void> {
  const cluster = await openCluster({});
  const namespace = `bench-${Date.now().toString(36)}`;
  await cluster.client.create('/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  try {
    await serviceAccountIn(cluster, namespace);
    await measureStarts(cluster, namespace);
    await measureMemory(cluster, namespace);
  } finally {
    await cluster.client.delete(`/api/v1/namespaces/${namespace}`);
    await cluster.close();
  }
}

async function measureStarts(cluster: Cluster, namespace: string): Promise<void> {
  const kinds = [
    { name: 'without', make: (name: string) => pod(name, false), starts: [] as Start[] },
    { name: 'idle', make: podWithIdleSidecar, starts: [] as Start[] },
    { name: 'with', make: (name: string) => pod(name, true), starts: [] as Start[] },
  ] as const;
  // The first pod of each kind fills caches of the node, and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    for (const kind of kinds) {
      const name = `${kind.name}-${round}`;
      const start = await startPod(cluster, namespace, kind.make(name));
      if (round > 0) kind.starts.push(start);
      await cluster.client.delete(podPath(namespace, name), { gracePeriodSeconds: '0' });
    }
  }
  print(`from a pod asked for to ready, median and worst of ${rounds}, ms`);
  const row = (what: string, starts: readonly Start[], of: (start: Start) => number | null): void =>
    print(`  ${what.padEnd(42)}${spread(starts.map(of).filter((ms) => ms !== null))}`);
  const [without, idle, withSidecar] = [kinds[0].starts, kinds[1].starts, kinds[2].starts];
  row('without sidecar: ready', without, ({ readyMs }) => readyMs);
  row('with containers that do nothing: ready', idle, ({ readyMs }) => readyMs);
  row('with sidecar: ready', withSidecar, ({ readyMs }) => readyMs);
  row('  scheduled', withSidecar, ({ scheduledMs }) => scheduledMs);
  row('  init container done', withSidecar, ({ initMs }) => initMs);
  row('  sidecar started (probed once a second)', withSidecar, ({ sidecarMs }) => sidecarMs);
}

async function measureMemory(cluster: Cluster, namespace: string): Promise<void> {
  const [server, client] = [pod('server', true), pod('client', true)];
  await startPod(cluster, namespace, server);
  await startPod(cluster, namespace, client);
  await sleep(settleMs);
  const rows: [string, Resident][] = [['idle', await residentOf(cluster, namespace, 'server')]];
  const { status } = await cluster.client.get<{ status: PodStatus }>(podPath(namespace, 'server'));
  const said = await cluster.exec({
    namespace,
    pod: 'client',
    container: 'app',
    command: ['node', '-e', `(${load.toString()})('http://${status.podIP}:8080/', ${calls})`],
  });
  if (said.status !== 0) throw new Error(`the load failed: ${said.stderr}`);
  rows.push([`callee after ${calls} calls`, await residentOf(cluster, namespace, 'server')]);
  rows.push([`caller after ${calls} calls`, await residentOf(cluster, namespace, 'client')]);
  print('resident memory of a sidecar, MB (of it not shared with other pods)');
  for (const [when, { all, anonymous }] of rows) {
    print(`  ${when.padEnd(42)}${all.toFixed(1)} (${anonymous.toFixed(1)})`);
  }
}

/** Runs in the pod: its calls go 16 at a time, over connections that are kept. */
async function load(url: string, count: number): Promise<void> {
  const http = process.getBuiltinModule('node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  let left = count;
  const loop = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise<void>((resolve, reject) => {
        http
          .get(url, { agent }, (reply) => {
            if (reply.statusCode !== 200) return reject(new Error(`status ${reply.statusCode}`));
            reply.resume().on('end', resolve);
          })
          .on('error', reject);
      });
    }
  };
  await Promise.all(Array.from({ length: 16 }, loop));
  agent.destroy();
}

async function residentOf(cluster: Cluster, namespace: string, name: string): Promise<Resident> {
  const { stdout, stderr, status } = await cluster.exec({
    namespace,
    pod: name,
    container: 'selvage-proxy',
    command: ['node', '-p', `require('node:fs').readFileSync('/proc/1/status', 'utf8')`],
  });
  if (status !== 0) throw new Error(`cannot look into ${name}: ${stderr}`);
  const kilobytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(stdout)?.[1]);
  return { all: kilobytes('VmRSS') / 1024, anonymous: kilobytes('RssAnon') / 1024 };
}

/** Resolves when the pod is ready. */
async function startPod(cluster: Cluster, namespace: string, object: KubeObject): Promise<Start> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const signal = AbortSignal.timeout(readyTimeoutMs);
  const beganMs = performance.now();
  const { metadata } = await cluster.client.create<KubeObject>(path, object);
  const marks = { scheduledMs: 0, initMs: null as number | null, sidecarMs: null as number | null };
  const query = {
    fieldSelector: `metadata.name=${metadata.name}`,
    resourceVersion: metadata.resourceVersion,
  };
  for await (const event of cluster.client.watch(path, query, signal)) {
    const ms = performance.now() - beganMs;
    const status = (event.object['status'] ?? {}) as PodStatus;
    const container = (name: string): ContainerStatus | undefined =>
      status.initContainerStatuses?.find((one) => one.name === name);
    if (isTrue(status, 'PodScheduled')) marks.scheduledMs ||= ms;
    if (container('selvage-init')?.state?.terminated !== undefined) marks.initMs ??= ms;
    if (container('selvage-proxy')?.started === true) marks.sidecarMs ??= ms;
    if (isTrue(status, 'Ready')) return { ...marks, readyMs: ms };
  }
  throw new Error(`${metadata.name} did not become ready within ${readyTimeoutMs} ms`);
}

function isTrue({ conditions = [] }: PodStatus, type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}

/** A namespace's own is made a moment after it. */
async function serviceAccountIn({ client }: Cluster, namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await client.get(`${path}/serviceaccounts/default`);
      await client.get(`${path}/configmaps/selvage-ca-root-cert`);
      return;
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(200);
    }
  }
}

/** Its application listens within a few ms of its start; no probe, which would round the times. */
function pod(name: string, inject: boolean): KubeObject {
  const script =
    "require('node:http').createServer((request, response) => response.end('ok')).listen(8080)";
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: { inject: String(inject) } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'app', image, command: ['node', '-e', script] }],
    },
  };
}

/** What the kubelet takes for an init container and a native sidecar of any kind. */
function podWithIdleSidecar(name: string): KubeObject {
  const object = pod(name, false);
  const script = "require('node:http').createServer((ask, reply) => reply.end()).listen(15021)";
  const initContainers = [
    { name: 'init', image, command: ['node', '-e', '0'] },
    {
      name: 'idle',
      image,
      command: ['node', '-e', script],
      restartPolicy: 'Always',
      startupProbe: { httpGet: { path: '/', port: 15021 }, periodSeconds: 1, failureThreshold: 60 },
    },
  ];
  return { ...object, spec: { ...(object['spec'] as object), initContainers } };
}

function podPath(namespace: string, name: string): string {
  return `/api/v1/namespaces/${namespace}/pods/${name}`;
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? NaN;
  return `${median.toFixed(0).padStart(6)}${(sorted.at(-1) ?? NaN).toFixed(0).padStart(8)}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
