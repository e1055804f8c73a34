// The workloads that pods of a cluster stand for: one for each set of labels and account that a workload's pods have.
import { hasProxy } from '#api/in-mesh.ts';
import type { Pod } from '#api/kinds/pod.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import { workloadOfPod, type MeshResources } from '#api/mesh.ts';
import { isOfCluster } from '#api/origin.ts';
import type { Workload } from '#api/workload.ts';

interface Variant {
  readonly workload: Workload;
  /** The pod that it was read from. */
  readonly pod: Pod;
  readonly services: readonly ServiceResource[];
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
  readonly #services: Map<string, readonly ServiceResource[]>;

  constructor(mesh: MeshResources, previous: PodWorkloads | null) {
    const pods = mesh.pods.filter((pod) => isOfCluster(pod) && hasProxy(pod.spec));
    this.#services = servicesOf(mesh, previous === null ? new Map() : previous.#services);
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
    const services = this.#services.get(pod.metadata.namespace) ?? [];
    const old = previous === null ? undefined : previous.#variants.get(key);
    if (old !== undefined && old.pod.spec === pod.spec && old.services === services) return old;
    return { workload: workloadOfPod(pod, services), pod, services };
  }
}

/** The parts of a snapshot's key that pods are told apart by; what ports they name is the same for pods of one template. */
function keyOf(pod: Pod): string {
  let key = keys.get(pod);
  if (key === undefined) {
    const { namespace, name, labels } = workloadOfPod(pod, []);
    const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
    key = `${namespace}/${name} ${JSON.stringify([pod.spec.serviceAccountName, sorted])}`;
    keys.set(pod, key);
  }
  return key;
}

/** Services by namespace; the same list where nothing changed. */
function servicesOf(
  mesh: MeshResources,
  before: ReadonlyMap<string, readonly ServiceResource[]>,
): Map<string, readonly ServiceResource[]> {
  const services = Map.groupBy(mesh.services, ({ metadata }) => metadata.namespace);
  const result = new Map<string, readonly ServiceResource[]>();
  for (const [namespace, list] of services) {
    const old = before.get(namespace);
    const same = old?.length === list.length && list.every((one, i) => one === old[i]);
    result.set(namespace, same ? old : list);
  }
  return result;
}
