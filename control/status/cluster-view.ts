// What the resources of a cluster say of the control plane itself: its replicas, and the pods that should be connected.
import { hasProxy } from '#api/in-mesh.ts';
import { workloadAnnotation } from '#api/injection/names.ts';
import { serviceNameLabel } from '#api/kinds/endpoint-slice.ts';
import type { AnyResource } from '#api/load.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Asking } from '../view.ts';

const controlService = 'selvage-control';

/** `address:port` of every replica of control that serves, this one too. @param namespace where control runs */
export function replicasOf(resources: readonly AnyResource[], namespace: string): string[] {
  const found = new Set<string>();
  for (const resource of resources) {
    if (resource.kind !== 'EndpointSlice' || resource.metadata.namespace !== namespace) continue;
    if (resource.metadata.labels[serviceNameLabel] !== controlService) continue;
    const port = pushPortOf(resource.spec.ports);
    for (const { addresses, conditions } of resource.spec.endpoints) {
      const [address] = addresses;
      if (address === undefined || port === undefined || conditions.ready === false) continue;
      found.add(formatAddress(address, port));
    }
  }
  return [...found];
}

/**
 * The pods with a sidecar that take calls. Those that start, stop or fail may be without a connection for good reason, and
 * pods in files are not known to run.
 */
export function readySidecars(resources: readonly AnyResource[]): Asking[] {
  return resources.flatMap((resource) => {
    if (resource.kind !== 'Pod' || !hasProxy(resource.spec)) return [];
    const ready = resource.status?.conditions.some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    );
    if (ready !== true) return [];
    const { namespace, name, annotations } = resource.metadata;
    return [{ namespace, pod: name, workload: annotations[workloadAnnotation] ?? name }];
  });
}

/** A Service may have further ports, for metrics. */
function pushPortOf(
  ports: readonly { readonly name: string; readonly port?: number }[],
): number | undefined {
  const [only] = ports;
  if (ports.length === 1) return only?.port;
  return (ports.find(({ port }) => port === 15011) ?? ports.find(({ name }) => /push/.test(name)))
    ?.port;
}
