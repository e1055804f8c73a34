// Asks the control plane of a cluster: its admin endpoint listens on loopback, so a program in its pod asks for us, and whoever
// may run that (pods/exec) may know.
import type { KubeObject } from '#runtime/kubernetes/client.ts';

import { CallError } from '../calls/failure.ts';
import type { Cluster } from './cluster.ts';
import { getOrNull, listAll } from './discovery.ts';
import { isReady, podOf } from './pods.ts';

export const systemNamespace = 'selvage-system';
const deployment = 'selvage-control';
const adminUrl = 'http://127.0.0.1:15015';

/** The path is an argument and no part of the program, so nothing in it can be read as one. */
const program =
  `fetch('${adminUrl}'+process.argv[1])` +
  `.then(async(r)=>{process.stdout.write(await r.text());process.exitCode=r.ok?0:r.status===404?4:3})` +
  `.catch((e)=>{process.stderr.write(String(e.cause??e));process.exitCode=5})`;

/** The answer of one replica. */
export interface ReplicaAnswer {
  readonly pod: string;
  readonly answer: unknown;
}

/**
 * Asks every replica that is ready: each knows the sidecars that are connected to it.
 * @param path of the admin endpoint, with its query
 * @throws CallError when none is there, Error when one cannot be asked
 */
export async function askControl(cluster: Cluster, path: string): Promise<ReplicaAnswer[]> {
  const replicas = await controlPods(cluster);
  if (replicas.length === 0) {
    throw new CallError(
      `no replica of ${systemNamespace}/${deployment} is ready; selvage doctor says what is wrong`,
    );
  }
  return Promise.all(replicas.map((pod) => askReplica(cluster, pod, path)));
}

async function controlPods(cluster: Cluster): Promise<KubeObject[]> {
  const namespace = `namespaces/${systemNamespace}`;
  const found = await getOrNull(
    cluster.client,
    `/apis/apps/v1/${namespace}/deployments/${deployment}`,
  );
  if (found === null) {
    throw new CallError(
      `there is no Deployment ${systemNamespace}/${deployment} at ${cluster.server}: is Selvage installed there?`,
    );
  }
  const labelSelector = selectorOf(found);
  const pods = await listAll(cluster.client, `/api/v1/${namespace}/pods`, { labelSelector });
  return pods.filter((pod) => isReady(podOf(pod)));
}

async function askReplica(
  cluster: Cluster,
  pod: KubeObject,
  path: string,
): Promise<ReplicaAnswer> {
  const { name } = pod.metadata;
  const container = podOf(pod).containers[0]?.name ?? 'control';
  const command = ['node', '-e', program, path];
  const ran = await cluster.exec({ namespace: systemNamespace, pod: name, container, command });
  if (ran.status !== 0) {
    const said = (ran.stderr || ran.stdout).trim().slice(0, 300);
    throw new Error(`${name} does not answer ${path}: ${said || `status ${ran.status}`}`);
  }
  try {
    return { pod: name, answer: JSON.parse(ran.stdout) as unknown };
  } catch {
    throw new Error(`${name} answers ${path} with what is no JSON`);
  }
}

function selectorOf(found: KubeObject): string {
  const { selector } = (found['spec'] ?? {}) as {
    selector?: { matchLabels?: Readonly<Record<string, string>> };
  };
  return Object.entries(selector?.matchLabels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
