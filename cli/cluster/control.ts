// Asks the control plane of a cluster: its admin endpoint listens on loopback, so a program in its pod asks for us, and whoever
// may run that (pods/exec) may know.
import { systemNamespace } from '#api/injection/names.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';

import { CallError } from '../calls/failure.ts';
import type { Cluster } from './cluster.ts';
import { getOrNull, listAll } from './discovery.ts';
import { isReady, podOf } from './pods.ts';

const deployment = 'selvage-control';
const adminUrl = 'http://127.0.0.1:15015';

/** The path is an argument and no part of the program, so nothing in it can be read as one. */
const program =
  `fetch('${adminUrl}'+process.argv[1])` +
  `.then(async(r)=>{process.stdout.write(await r.text());process.exitCode=r.ok?0:r.status===404?4:3})` +
  `.catch((e)=>{process.stderr.write(String(e.cause??e));process.exitCode=5})`;

/**
 * Asks one replica, which speaks for all of them; the next one where it does not answer.
 * @param path of the admin endpoint, with its query
 * @throws CallError when control is not installed, Error when no replica answers
 */
export async function askControl(cluster: Cluster, path: string): Promise<unknown> {
  const text = await runInControl(cluster, ['node', '-e', program, path], `answer ${path}`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Error(`control answers ${path} with what is no JSON`);
  }
}

/** What a program printed that ran in one of the replicas. @throws as askControl */
export async function runInControl(
  cluster: Cluster,
  command: readonly string[],
  purpose: string,
): Promise<string> {
  const [first, ...others] = await controlPods(cluster);
  try {
    return await runInPod(cluster, first, command, purpose);
  } catch (error) {
    // A replica may end between the list and the call.
    for (const pod of others) {
      const text = await runInPod(cluster, pod, command, purpose).catch(() => null);
      if (text !== null) return text;
    }
    throw error;
  }
}

/** Those that are ready, at least one. */
async function controlPods(cluster: Cluster): Promise<[KubeObject, ...KubeObject[]]> {
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
  const [first, ...rest] = pods.filter((pod) => isReady(podOf(pod)));
  if (first !== undefined) return [first, ...rest];
  // It may be on its way: who waits asks again.
  throw new Error(
    `no replica of ${systemNamespace}/${deployment} is ready; selvage doctor says what is wrong`,
  );
}

async function runInPod(
  cluster: Cluster,
  pod: KubeObject,
  command: readonly string[],
  purpose: string,
): Promise<string> {
  const { name } = pod.metadata;
  const container = podOf(pod).containers[0]?.name ?? 'control';
  const ran = await cluster.exec({ namespace: systemNamespace, pod: name, container, command });
  if (ran.status === 0) return ran.stdout;
  const said = (ran.stderr || ran.stdout).trim().slice(0, 300);
  throw new Error(`${name} does not ${purpose}: ${said || `status ${ran.status}`}`);
}

function selectorOf(found: KubeObject): string {
  const { selector } = (found['spec'] ?? {}) as {
    selector?: { matchLabels?: Readonly<Record<string, string>> };
  };
  return Object.entries(selector?.matchLabels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
