// The workloads that pods of a cluster stand for: one for each set of labels and account that a workload's pods have.
import { hasProxy } from '#api/in-mesh.ts';
import type { Pod } from '#api/kinds/pod.ts';
import { workloadOfPod, type MeshResources } from '#api/mesh.ts';
import { isOfCluster } from '#api/origin.ts';
import { noDeclarers, type PortDeclarers, portDeclarers } from '#api/workload-ports.ts';
import type { Workload } from '#api/workload.ts';

import { sameItems } from './same-items.ts';

interface Variant {
  readonly workload: Workload;
  /** The pod that it was read from. */
  readonly pod: Pod;
  readonly declarers: PortDeclarers;
}

const keys = new WeakMap<Pod, string>();

/**
 * Istio matches policies by the labels of pods, and in a canary rollout the pods of one Deployment differ. So each sidecar
 * gets the snapshot of its own pod; pods that are alike share one.
 */
export class PodWorkloads {
  /** Key of the variant by `namespace/pod`; only pods with a sidecar. */
  readonly #byPod = new Map<string, string>();
  readonly #variants = new Map<string, Variant>();
  readonly #declarers: ReadonlyMap<string, PortDeclarers>;

  constructor(mesh: MeshResources, previous: PodWorkloads | null) {
    const pods = mesh.pods.filter((pod) => isOfCluster(pod) && hasProxy(pod.spec));
    this.#declarers = declarersOf(mesh, previous === null ? new Map() : previous.#declarers);
    for (const pod of pods) {
      const key = keyOf(pod);
      this.#byPod.set(`${pod.metadata.namespace}/${pod.metadata.name}`, key);
      if (!this.#variants.has(key)) this.#variants.set(key, this.#variant(pod, key, previous));
    }
  }

  /** @param pod `namespace/pod`. Null: no pod of this name is of this workload, or it has no sidecar. */
  keyOf(pod: string, workload: string): string | null {
    const key = this.#byPod.get(pod);
    return key !== undefined && this.#variants.get(key)?.workload.name === workload ? key : null;
  }

  workload(key: string): Workload | undefined {
    return this.#variants.get(key)?.workload;
  }

  keys(): Iterable<string> {
    return this.#variants.keys();
  }

  #variant(pod: Pod, key: string, previous: PodWorkloads | null): Variant {
    const declarers = this.#declarers.get(pod.metadata.namespace) ?? noDeclarers;
    const old = previous === null ? undefined : previous.#variants.get(key);
    if (old !== undefined && old.pod.spec === pod.spec && old.declarers === declarers) return old;
    return { workload: workloadOfPod(pod, declarers), pod, declarers };
  }
}

/** The parts of a snapshot's key that pods are told apart by; what ports they name is the same for pods of one template. */
function keyOf(pod: Pod): string {
  let key = keys.get(pod);
  if (key === undefined) {
    const { namespace, name, labels } = workloadOfPod(pod, noDeclarers);
    const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
    key = `${namespace}/${name} ${JSON.stringify([pod.spec.serviceAccountName, sorted])}`;
    keys.set(pod, key);
  }
  return key;
}

/** By namespace; the same object where nothing changed. */
function declarersOf(
  mesh: MeshResources,
  before: ReadonlyMap<string, PortDeclarers>,
): Map<string, PortDeclarers> {
  const declarers = portDeclarers(mesh);
  for (const [namespace, { services, entries }] of declarers) {
    const old = before.get(namespace);
    if (old === undefined || !sameItems(old.services, services)) continue;
    if (sameItems(old.entries, entries)) declarers.set(namespace, old);
  }
  return declarers;
}
