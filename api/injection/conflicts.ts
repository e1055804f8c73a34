// What a pod must not have beside a sidecar, each in a sentence that says why and what to do.
import type { ContainerManifest, PodManifest } from './manifest.ts';
import { dnsPort, initName, ports, proxyName, proxyUid, volumes } from './names.ts';

/** Reasons why the pod cannot have a sidecar whatever it says of itself: the node's network, another system. */
export function unsuitable({ spec }: PodManifest): string | null {
  if (spec.hostNetwork === true) {
    return 'it has hostNetwork: true, so its traffic is that of the node and cannot be captured: remove hostNetwork';
  }
  if (spec.os?.name === 'windows' || spec.nodeSelector?.['kubernetes.io/os'] === 'windows') {
    return 'it runs on Windows, where there is no sidecar';
  }
  return null;
}

/** What would make the sidecar fail, or let traffic pass around it. */
export function conflictsOf(pod: PodManifest, { dnsCapture }: { dnsCapture: boolean }): string[] {
  const containers = allContainers(pod);
  return [
    ...containers.flatMap(({ name }) => takenName(name)),
    ...(pod.spec.volumes ?? [])
      .filter(({ name }) => Object.values(volumes).some((own) => own === name))
      .map(({ name }) => `it has a volume ${name} of its own, which the sidecar brings: rename it`),
    ...containers.flatMap(takenPorts),
    ...(dnsCapture ? containers.flatMap(takenDnsPort) : []),
    ...takenIdentity(pod),
  ];
}

export function allContainers({ spec }: PodManifest): ContainerManifest[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

function takenName(name: string): string[] {
  if (name === initName || name === proxyName) {
    return [`it has a container ${name} of its own, which is the name of the sidecar's: rename it`];
  }
  if (name === 'istio-proxy' || name === 'istio-init') {
    return [
      'it has the sidecar of Istio already, and one pod is in one mesh: switch one of them off',
    ];
  }
  return [];
}

function takenPorts({ name, ports: declared }: ContainerManifest): string[] {
  const taken: readonly number[] = Object.values(ports);
  return (declared ?? [])
    .filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
    .filter(({ containerPort }) => taken.includes(containerPort))
    .map(
      ({ containerPort }) =>
        `container ${name} listens on port ${containerPort}, which is the sidecar's: choose another port`,
    );
}

/** By whatever protocol: both are listened on. */
function takenDnsPort({ name, ports: declared }: ContainerManifest): string[] {
  if (declared?.some(({ containerPort }) => containerPort === dnsPort) !== true) return [];
  return [
    `container ${name} listens on port ${dnsPort}, where the sidecar answers names: choose another port`,
  ];
}

/** What runs as the sidecar's user or group is not captured: it would call, unseen, whatever it likes. */
function takenIdentity(pod: PodManifest): string[] {
  const ofPod = pod.spec.securityContext;
  return allContainers(pod).flatMap(({ name, securityContext: own }) => {
    const user = own?.runAsUser ?? ofPod?.runAsUser;
    const group = own?.runAsGroup ?? ofPod?.runAsGroup;
    if (user !== proxyUid && group !== proxyUid) return [];
    const kind = user === proxyUid ? 'user' : 'group';
    return [
      `container ${name} runs as the ${kind} ${proxyUid}, which is the sidecar's, and would pass around it: choose another`,
    ];
  });
}
