// Which pods of a cluster have a sidecar: what runs in them says it, whatever their annotations ask for.
import { proxyName } from './injection/names.ts';
import type { PodSpec } from './kinds/pod.ts';

/** A pod that was made before its workload was annotated has none, until it is restarted. */
export function hasProxy(spec: Pick<PodSpec, 'initContainers' | 'containers'>): boolean {
  return [spec.initContainers, spec.containers].some((containers) =>
    containers.some(({ name }) => name === proxyName),
  );
}
