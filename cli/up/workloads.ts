// The workloads of a folder as a local mesh runs them: pods of Deployments by their replicas, bare Pods once.
import type { Pod, PodSpec } from '#api/kinds/pod.ts';
import type { Sidecar } from '#api/kinds/sidecar.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { WorkloadPort } from '#api/workload.ts';

import type { MeshModel } from '../calls/model.ts';
import type { BytesPort, LocalWorkload } from './plan.ts';

/** @param absolute makes a file's path, as the user wrote it, absolute */
export function localWorkloads(
  model: MeshModel,
  absolute: (file: string) => string,
): LocalWorkload[] {
  return model.workloads.map((workload) => {
    const { replicas, spec } = podsOf(workload);
    return {
      namespace: workload.namespace,
      name: workload.name,
      replicas,
      injected: workload.injected,
      labels: workload.labels,
      serviceAccount: workload.serviceAccount,
      file: absolute(workload.origin?.file ?? '.'),
      containers: spec.containers,
      ports: programFirst(workload.ports, model.sidecarOf(workload)).map(({ port, name }) =>
        portOf(spec, port, name),
      ),
      bytesPorts: bytesPortsOf(model, workload.namespace),
    };
  });
}

/** A program learns first of the port that it is called at: not of one whose calls a Sidecar leads to another. */
function programFirst(
  ports: readonly WorkloadPort[],
  sidecar: Sidecar | null,
): readonly WorkloadPort[] {
  const { ingress = [] } = sidecar?.spec ?? {};
  const leadsAway = ({ port }: WorkloadPort): boolean =>
    ingress.some(
      (one) =>
        one.port?.number === port &&
        one.defaultEndpoint !== '' &&
        !one.defaultEndpoint.endsWith(`:${port}`),
    );
  return [...ports.filter((one) => !leadsAway(one)), ...ports.filter(leadsAway)];
}

function bytesPortsOf(model: MeshModel, namespace: string): BytesPort[] {
  const services = model.resources.services.filter(
    ({ metadata, spec }) => metadata.namespace === namespace && spec.type !== 'ExternalName',
  );
  return services.flatMap(({ metadata: { name: service }, spec }) =>
    spec.ports
      .filter((port) => port.protocol === 'TCP' && ['tcp', 'tls'].includes(protocolOf(port)))
      .map(({ port, name }) => ({ service, host: `${service}.${namespace}`, port, name })),
  );
}

/** A container may call its port otherwise than the Service in front: a program may know it by either name. */
function portOf(spec: PodSpec, port: number, serviceName: string): LocalWorkload['ports'][number] {
  const ports = spec.containers.flatMap((container) => container.ports);
  const own = ports.find((one) => one.containerPort === port)?.name ?? '';
  const names = [...new Set([own, serviceName])].filter((name) => name !== '');
  return { port, name: names[0] ?? '', names };
}

function podsOf({ resource }: MeshWorkload): { readonly replicas: number; readonly spec: PodSpec } {
  if (isPod(resource)) return { replicas: 1, spec: resource.spec };
  // A DaemonSet runs once on each node, and a laptop is one node.
  const replicas = resource.kind === 'DaemonSet' ? 1 : resource.spec.replicas;
  return { replicas, spec: resource.spec.template.spec };
}

function isPod(resource: MeshWorkload['resource']): resource is Pod {
  return resource.kind === 'Pod';
}
