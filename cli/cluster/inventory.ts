// What runs in a cluster and what is to be in the mesh: pods, the marks of their workloads and namespaces, the webhook's age.
import { type Marked, type NamespaceStance, stances } from '#api/injection.ts';
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { listAll } from './discovery.ts';
import { type LivePod, podOf } from './pods.ts';

export interface Inventory {
  /** Those that live, of the namespaces that were asked for. */
  readonly pods: readonly LivePod[];
  readonly namespaces: readonly string[];
  readonly stanceOf: (namespace: string) => NamespaceStance;
  /** Metadata of the workload that made a pod; null where it is not known. */
  readonly ownerOf: (pod: LivePod) => Marked | null;
  /** When the injector's webhook was configured; null: it is not; undefined: we may not know. */
  readonly webhookSinceMs: number | null | undefined;
}

/** On everything that an installation is made of. */
export const installed = { key: 'app.kubernetes.io/part-of', value: 'selvage' } as const;

const ownerKinds = [
  { kind: 'Deployment', plural: 'deployments' },
  { kind: 'StatefulSet', plural: 'statefulsets' },
  { kind: 'DaemonSet', plural: 'daemonsets' },
] as const;

/** @param namespace only this one; all where it is left out */
export async function readInventory(client: KubeClient, namespace?: string): Promise<Inventory> {
  const inside = namespace === undefined ? '' : `/namespaces/${namespace}`;
  const [pods, namespaces, webhookSinceMs, ...owners] = await Promise.all([
    listAll(client, `/api/v1${inside}/pods`),
    readNamespaces(client, namespace),
    webhookSince(client),
    ...ownerKinds.map(({ plural }) => listAll(client, `/apis/apps/v1${inside}/${plural}`)),
  ]);
  const known = new Map(
    ownerKinds.flatMap(({ kind }, i) =>
      (owners[i] ?? []).map(({ metadata }): [string, Marked] => [
        `${kind} ${metadata.namespace}/${metadata.name}`,
        metadata,
      ]),
    ),
  );
  return {
    pods: pods.map(podOf).filter(({ alive }) => alive),
    // What is being deleted loses its parts one by one.
    namespaces: namespaces
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name),
    stanceOf: stances(namespaces),
    ownerOf: ({ namespace: home, workload }) =>
      known.get(`${workload.kind} ${home}/${workload.name}`) ?? null,
    webhookSinceMs,
  };
}

async function readNamespaces(client: KubeClient, namespace?: string): Promise<KubeObject[]> {
  if (namespace === undefined) return listAll(client, '/api/v1/namespaces');
  return [await client.get<KubeObject>(`/api/v1/namespaces/${namespace}`)];
}

async function webhookSince(client: KubeClient): Promise<number | null | undefined> {
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
  try {
    const labelSelector = `${installed.key}=${installed.value}`;
    const found = await listAll(client, path, { labelSelector });
    const since = found.map(({ metadata }) => Date.parse(metadata.creationTimestamp ?? '') || 0);
    return since.length === 0 ? null : Math.min(...since);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    // Whoever may look after one namespace only may not read what belongs to the cluster.
    if (error.status === 403) return undefined;
    throw error;
  }
}
