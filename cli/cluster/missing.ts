// Pods that are to have a sidecar and have none: why, and what to do about it.
import { injectionMarks, wantsSidecar } from '#api/injection.ts';
import { protectedNamespaces } from '#api/injection/names.ts';

import type { Inventory } from './inventory.ts';
import { type LivePod, sidecarOf } from './pods.ts';

export interface Missing {
  readonly pod: LivePod;
  /** Completes "has no sidecar: …". */
  readonly why: string;
  readonly mend: string;
  /** Something keeps it out on purpose, against what asks for it. */
  readonly chosen: boolean;
}

type World = Pick<Inventory, 'stanceOf' | 'ownerOf' | 'webhookSinceMs'>;

/** null: it has a sidecar, or nothing asks for one. */
export function missingSidecar(pod: LivePod, world: World): Missing | null {
  if (sidecarOf(pod) !== undefined) return null;
  const reason = reasonFor(pod, world);
  return reason === null ? null : { pod, ...reason };
}

type Reason = Omit<Missing, 'pod'>;

function reasonFor(pod: LivePod, world: World): Reason | null {
  const { namespace } = pod;
  const stance = world.stanceOf(namespace);
  const marks = injectionMarks(pod, world.ownerOf(pod) ?? {});
  const asks = marks.includes('true');
  if (protectedNamespaces.some((name) => name === namespace)) {
    const mend = 'remove its mark, or run it in another namespace';
    return asks ? { why: `nothing in ${namespace} gets one`, mend, chosen: true } : null;
  }
  if (stance === 'kept-out') {
    const why = `a label keeps the namespace ${namespace} out, and that wins`;
    return asks
      ? { why, mend: `change the label of the namespace ${namespace}`, chosen: true }
      : null;
  }
  if (!wantsSidecar(stance, pod, world.ownerOf(pod) ?? {})) {
    if (!asks && stance !== 'opted-in') return null;
    const by = asks ? 'and "true" as well: "false" wins' : 'though its namespace opts in';
    return { why: `it says inject: "false", ${by}`, mend: 'none, if that is meant', chosen: true };
  }
  if (pod.hostNetwork) {
    const mend = 'run it without hostNetwork, or write inject: "false" on it';
    return { why: 'it uses the network of its node (hostNetwork)', mend, chosen: true };
  }
  return { ...notInjected(pod, world), chosen: false };
}

function notInjected(pod: LivePod, world: World): { why: string; mend: string } {
  const { webhookSinceMs } = world;
  const mend = restartOf(pod);
  if (webhookSinceMs === null) {
    return { why: 'no injector is configured in this cluster', mend: 'install Selvage' };
  }
  if (webhookSinceMs !== undefined && pod.createdMs < webhookSinceMs) {
    return { why: 'it is older than the webhook', mend };
  }
  const own = wantsSidecar(world.stanceOf(pod.namespace), pod);
  if (!own) return { why: `its ${pod.workload.kind} was marked after it was made`, mend };
  const stance = world.stanceOf(pod.namespace);
  const marked = injectionMarks(pod).includes('true');
  if (stance === 'opted-in' && !marked) {
    return { why: 'its namespace opted in after it was made, or the injector was not asked', mend };
  }
  return { why: 'the injector was not asked, or did not answer, when it was made', mend };
}

/** The command that makes the pod anew. */
export function restartOf({ namespace, name, workload }: LivePod): string {
  const { kind } = workload;
  if (kind === 'Deployment' || kind === 'StatefulSet' || kind === 'DaemonSet') {
    return `kubectl rollout restart -n ${namespace} ${kind.toLowerCase()}/${workload.name}`;
  }
  if (kind === 'ReplicaSet') return `kubectl delete pod -n ${namespace} ${name}`;
  return kind === 'Job' ? 'its next run will have one' : 'delete the pod and create it again';
}
