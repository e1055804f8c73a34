// Which pods of a cluster have a sidecar: what runs in them says it, whatever their annotations ask for.
import type { PodSpec } from './kinds/pod.ts';

/** The container that the injector adds: a native sidecar, so among the init containers. */
export const proxyContainer = 'selvage-proxy';

/** The workload that a pod belongs to, where its owner references do not say. */
export const workloadAnnotation = 'selvage.dev/workload';

/** A pod that was made before its workload was annotated has none, until it is restarted. */
export function hasProxy(spec: Pick<PodSpec, 'initContainers' | 'containers'>): boolean {
  return [spec.initContainers, spec.containers].some((containers) =>
    containers.some(({ name }) => name === proxyContainer),
  );
}
