// What callers can reach, as far as files say it: where they have workloads and no pods, the pods that there would be.
import { workloadAnnotation } from '#api/injection/names.ts';
import type { Pod } from '#api/kinds/pod.ts';
import type { MeshResources, MeshWorkload } from '#api/mesh.ts';

/** With pods for workloads that have none; their addresses are their names. */
export function withPods(mesh: MeshResources, workloads: readonly MeshWorkload[]): MeshResources {
  const known = new Set(mesh.pods.map((pod) => ownerOf(pod)));
  const made = workloads
    .filter(({ namespace, name }) => !known.has(`${namespace}/${name}`))
    .flatMap((workload) => podsOf(workload));
  const addressed = mesh.pods.map((pod) =>
    pod.status?.podIP === undefined
      ? { ...pod, status: { conditions: [], ...pod.status, podIP: pod.metadata.name } }
      : pod,
  );
  return { ...mesh, pods: [...addressed, ...made] };
}

function ownerOf({ metadata: { namespace, name, annotations } }: Pod): string {
  return `${namespace}/${annotations[workloadAnnotation] ?? name}`;
}

function podsOf(workload: MeshWorkload): Pod[] {
  const { resource, namespace, name: owner, labels, injected } = workload;
  if (resource.kind === 'Pod') return [];
  const { template, replicas } = resource.spec;
  const count = resource.kind === 'DaemonSet' ? 1 : replicas;
  return Array.from({ length: count }, (_, i): Pod => {
    const name = count === 1 ? owner : `${owner}-${i}`;
    const annotations = { [workloadAnnotation]: owner, inject: String(injected) };
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels, annotations },
      spec: template.spec,
      status: { podIP: name, conditions: [] },
    };
  });
}
