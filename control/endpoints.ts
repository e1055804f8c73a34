// Where the ports of a Service lead where nobody says it in EndpointSlices: the ready pods that it selects.
import { hasProxy } from '#api/in-mesh.ts';
import { type NamespaceStance, stances, wantsSidecar } from '#api/injection.ts';
import { workloadAnnotation } from '#api/injection/names.ts';
import type { Deployment } from '#api/kinds/deployment.ts';
import type { Pod } from '#api/kinds/pod.ts';
import type { ServicePortSpec, ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { localityOf } from '#api/locality.ts';
import type { Endpoint } from '#api/snapshot.ts';
import { formatSpiffeId } from '#api/spiffe.ts';
import { selectsLabels } from '#policy/attach.ts';

import { type LocalPorts, portToCall, readLocalPorts } from './local-ports.ts';

export interface EndpointFinder {
  /** Endpoints of one port of a Service, by address and port. */
  endpoints(service: ServiceResource, port: ServicePortSpec): Endpoint[];
  /** All that the endpoints of a Service are made of: the same objects, the same endpoints. Null: it cannot be said. */
  inputsOf(service: ServiceResource): readonly unknown[] | null;
}

/** Finds pods by what an entry selects. */
export interface PodFinder {
  /** Ready pods of a namespace as endpoints. @param port of theirs */
  selected(
    namespace: string,
    labels: Readonly<Record<string, string>>,
    port: number,
  ): readonly Endpoint[];
}

export function byPlace(a: Endpoint, b: Endpoint): number {
  return (a.address < b.address ? -1 : a.address > b.address ? 1 : 0) || a.port - b.port;
}

interface ReadyPod {
  readonly pod: Pod;
  readonly address: string;
  readonly identity: string | null;
  readonly workload: string;
  readonly localPorts: LocalPorts;
}

/** The ready pods of a mesh, found by namespace and label. */
export class PodIndex implements EndpointFinder, PodFinder {
  readonly #byLabel = new Map<string, ReadyPod[]>();

  /** @param inCluster there a pod has a sidecar when it runs one, whatever anybody asked for */
  constructor(mesh: MeshResources, inCluster: boolean) {
    const owners = new Map(
      mesh.deployments.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]),
    );
    const stanceOf = stances(mesh.namespaces);
    for (const pod of mesh.pods) {
      const stance = stanceOf(pod.metadata.namespace);
      const ready = readyPod(pod, mesh.meshConfig.trustDomain, owners, inCluster ? null : stance);
      if (ready === null) continue;
      for (const [name, value] of Object.entries(pod.metadata.labels)) {
        const key = labelKey(pod.metadata.namespace, name, value);
        const pods = this.#byLabel.get(key);
        if (pods === undefined) this.#byLabel.set(key, [ready]);
        else pods.push(ready);
      }
    }
  }

  /** A Service without selector has none here. */
  endpoints(service: ServiceResource, port: ServicePortSpec): Endpoint[] {
    const { namespace } = service.metadata;
    const endpoints = this.#select(namespace, service.spec.selector ?? {}).flatMap((ready) => {
      const target = targetPortOf(ready.pod, port);
      return target === null ? [] : [endpointOf(ready, target)];
    });
    return endpoints.toSorted(byPlace);
  }

  selected(
    namespace: string,
    labels: Readonly<Record<string, string>>,
    port: number,
  ): readonly Endpoint[] {
    return this.#select(namespace, labels).map((ready) => endpointOf(ready, port));
  }

  inputsOf(): null {
    return null;
  }

  #select(namespace: string, selector: Readonly<Record<string, string>>): readonly ReadyPod[] {
    let fewest: readonly ReadyPod[] | null = null;
    for (const [name, value] of Object.entries(selector)) {
      const pods = this.#byLabel.get(labelKey(namespace, name, value)) ?? [];
      if (fewest === null || pods.length < fewest.length) fewest = pods;
    }
    return (fewest ?? []).filter(({ pod }) => selectsLabels(selector, pod.metadata.labels));
  }
}

function endpointOf(
  { pod, address, identity, workload, localPorts }: ReadyPod,
  port: number,
): Endpoint {
  const { namespace, labels } = pod.metadata;
  const locality = localityOf(labels);
  return {
    address,
    port: portToCall(localPorts, port),
    identity,
    workload,
    namespace,
    labels,
    ...(locality !== '' && { locality }),
  };
}

function readyPod(
  pod: Pod,
  trustDomain: string,
  owners: ReadonlyMap<string, Deployment>,
  stance: NamespaceStance | null,
): ReadyPod | null {
  const address = pod.status?.podIP ?? '';
  if (address === '' || !isReady(pod)) return null;
  const { namespace, name, annotations } = pod.metadata;
  const workload = annotations[workloadAnnotation] ?? name;
  const owner = owners.get(`${namespace}/${workload}`);
  const marks = owner === undefined ? [] : [owner.metadata, owner.spec.template.metadata];
  const serviceAccount = pod.spec.serviceAccountName;
  return {
    pod,
    address,
    workload,
    identity:
      hasProxy(pod.spec) || (stance !== null && wantsSidecar(stance, pod.metadata, ...marks))
        ? formatSpiffeId({ trustDomain, namespace, serviceAccount })
        : null,
    localPorts: readLocalPorts(annotations),
  };
}

/** A pod that says nothing of its readiness is taken as ready: files rarely do. */
function isReady(pod: Pod): boolean {
  const { phase, conditions = [] } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') return false;
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready === undefined ? conditions.length === 0 : ready.status === 'True';
}

/** The workload's port; null when the pod has no port of that name. */
function targetPortOf(pod: Pod, port: ServicePortSpec): number | null {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  const ports = pod.spec.containers.flatMap((container) => container.ports);
  return ports.find(({ name }) => name === target)?.containerPort ?? null;
}

function labelKey(namespace: string, name: string, value: string): string {
  return `${namespace} ${name}=${value}`;
}
