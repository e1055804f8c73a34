// Applies the objects of an installation, each only where nothing of somebody else's stands.
import { setTimeout as pass } from 'node:timers/promises';

import { systemNamespace } from '#api/injection/names.ts';
import { pluralOf } from '#api/kinds/plural.ts';
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { CallError } from '../calls/failure.ts';
import { getOrNull } from '../cluster/discovery.ts';
import { type Manifest, ownLabels } from './labels.ts';

export type Outcome = 'created' | 'configured' | 'unchanged' | 'used as it is';

const crdReadyTimeoutMs = 30_000;
const pollEveryMs = 200;

/** @throws CallError for an object of the same name that Selvage did not make */
export async function applyObject(client: KubeClient, object: Manifest): Promise<Outcome> {
  const path = objectPath(object);
  const present = await getOrNull(client, path);
  if (present !== null && !isOwn(present)) {
    if (object.kind === 'CustomResourceDefinition') return 'used as it is';
    // Made beforehand, for `cacerts`.
    if (object.kind !== 'Namespace') throw new CallError(strangerText(object));
  }
  const query = { fieldManager: 'selvage-install', force: 'true' };
  const applied = await client.patch<KubeObject>(path, object, 'apply', query);
  if (present === null) return 'created';
  const same = present.metadata.resourceVersion === applied.metadata.resourceVersion;
  return same ? 'unchanged' : 'configured';
}

/** False: there was none. @throws CallError for an object that Selvage did not make */
export async function deleteObject(client: KubeClient, object: Manifest): Promise<boolean> {
  const path = objectPath(object);
  const present = await getOrNull(client, path);
  if (present === null) return false;
  if (!isOwn(present)) throw new CallError(strangerText(object));
  await client.delete(path, { propagationPolicy: 'Background' });
  return true;
}

/** Until the API server serves the kind. */
export async function untilEstablished(client: KubeClient, crd: Manifest): Promise<void> {
  const deadline = performance.now() + crdReadyTimeoutMs;
  for (;;) {
    const present = await client.get<KubeObject>(objectPath(crd));
    // The API server writes null at first.
    const { conditions } = (present['status'] ?? {}) as {
      conditions?: readonly { type: string; status: string }[] | null;
    };
    if (conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) return;
    if (performance.now() > deadline) {
      throw new CallError(
        `the API server does not serve ${crd.metadata.name}: see kubectl describe crd`,
      );
    }
    await pass(pollEveryMs);
  }
}

export function isOwn({ metadata }: KubeObject): boolean {
  const { labels = {} } = metadata;
  return Object.entries(ownLabels).every(([key, value]) => labels[key] === value);
}

export function objectPath({ apiVersion, kind, metadata }: Manifest): string {
  const prefix = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const { name, namespace } = metadata;
  const inside = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${prefix}${inside}/${pluralOf(kind)}/${name}`;
}

function strangerText({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name} is there, without the labels of Selvage: it is not touched; remove or rename it`;
}

/** How far a Deployment is. */
export interface Progress {
  readonly name: string;
  /** `1/2`; `?` where the API server did not answer. */
  readonly ready: string;
  /** It runs as applied. */
  readonly done: boolean;
}

export function progressOf(client: KubeClient, names: readonly string[]): Promise<Progress[]> {
  return Promise.all(names.map((name) => progress(client, name)));
}

async function progress(client: KubeClient, name: string): Promise<Progress> {
  try {
    const path = `/apis/apps/v1/namespaces/${systemNamespace}/deployments/${name}`;
    const { metadata, spec, status } = await client.get<
      KubeObject & {
        spec?: { replicas?: number };
        status?: {
          updatedReplicas?: number;
          availableReplicas?: number;
          observedGeneration?: number;
        };
      }
    >(path);
    const wanted = spec?.replicas ?? 1;
    const ready = Math.min(status?.availableReplicas ?? 0, status?.updatedReplicas ?? 0);
    const seen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
    return { name, ready: `${ready}/${wanted}`, done: seen && ready >= wanted };
  } catch (error) {
    // While the API server restarts.
    if (error instanceof KubeError && error.status < 500) throw error;
    return { name, ready: '?', done: false };
  }
}
