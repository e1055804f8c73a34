// The resources of a mesh by kind, and the workloads among them.
import { workloadAnnotation } from './injection/names.ts';
import { type Marked, injectionMarks, stances, wantsSidecar } from './injection.ts';
import type { AuthorizationPolicy } from './kinds/authorization-policy.ts';
import type { CircuitBreaker } from './kinds/circuit-breaker.ts';
import type { Deployment, DeploymentKind } from './kinds/deployment.ts';
import type { DestinationRule } from './kinds/destination-rule.ts';
import type { EndpointSlice } from './kinds/endpoint-slice.ts';
import { type ExtensionResource, isExtension } from './kinds/extension.ts';
import type { HealthCheck } from './kinds/health-check.ts';
import type { GRPCRoute } from './kinds/grpc-route.ts';
import type { HTTPRoute } from './kinds/http-route.ts';
import type { MeshConfig } from './kinds/mesh-config.ts';
import type { Namespace } from './kinds/namespace.ts';
import type { PeerAuthentication } from './kinds/peer-authentication.ts';
import type { Container, Pod, PodSpec } from './kinds/pod.ts';
import type { ReferenceGrant } from './kinds/reference-grant.ts';
import type { RequestAuthentication } from './kinds/request-authentication.ts';
import type { SecretResource } from './kinds/secret.ts';
import type { ServiceAccount } from './kinds/service-account.ts';
import type { ServiceEntry } from './kinds/service-entry.ts';
import type { ServiceResource } from './kinds/service.ts';
import type { Sidecar } from './kinds/sidecar.ts';
import type { Telemetry } from './kinds/telemetry.ts';
import type { WorkloadEntry } from './kinds/workload-entry.ts';
import type { VirtualService } from './kinds/virtual-service.ts';
import type { AnyResource, MeshConfigResource } from './load.ts';
import type { ObjectMeta, Origin } from './resource.ts';
import { type PortDeclarers, noDeclarers, portDeclarers, portsOf } from './workload-ports.ts';
import type { Workload } from './workload.ts';

export interface MeshResources {
  /** The defaults where nobody configured the mesh. */
  readonly meshConfig: MeshConfig;
  readonly meshConfigs: readonly MeshConfigResource[];
  readonly namespaces: readonly Namespace[];
  readonly serviceAccounts: readonly ServiceAccount[];
  readonly services: readonly ServiceResource[];
  readonly serviceEntries: readonly ServiceEntry[];
  /** Workloads outside of the cluster. */
  readonly workloadEntries: readonly WorkloadEntry[];
  readonly pods: readonly Pod[];
  /** What is behind Services; in a folder, where there are none of a Service, the pods that it selects. */
  readonly endpointSlices: readonly EndpointSlice[];
  /** Deployments, StatefulSets and DaemonSets. */
  readonly deployments: readonly Deployment[];
  /** Oldest first, as all policies. */
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly sidecars: readonly Sidecar[];
  readonly telemetries: readonly Telemetry[];
  readonly destinationRules: readonly DestinationRule[];
  readonly circuitBreakers: readonly CircuitBreaker[];
  readonly healthChecks: readonly HealthCheck[];
  readonly virtualServices: readonly VirtualService[];
  readonly httpRoutes: readonly HTTPRoute[];
  readonly grpcRoutes: readonly GRPCRoute[];
  readonly referenceGrants: readonly ReferenceGrant[];
  readonly extensions: readonly ExtensionResource[];
  /** Hashes of API keys. */
  readonly secrets: readonly SecretResource[];
  /** Resources that a later one of the same kind, namespace and name took the place of. */
  readonly replaced: readonly { readonly old: AnyResource; readonly by: AnyResource }[];
}

/** A workload of Kubernetes, and what decides whether it is in the mesh. */
export interface MeshWorkload extends Workload {
  readonly kind: DeploymentKind | 'Pod';
  /** It or its namespace asks for a sidecar; without one no policy is enforced there. */
  readonly injected: boolean;
  /** What it and its pod template say of injection: `true`, `false`, or a slip. */
  readonly marks: readonly string[];
  readonly containers: readonly Container[];
  /** The resource that it was read from. */
  readonly resource: Deployment | Pod;
  readonly origin?: Origin;
}

/**
 * Istio's defaults; equal to what the kind's own shape fills in, which is too large to load for it.
 */
export const defaultMeshConfig: MeshConfig = Object.freeze({
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  rootNamespace: 'istio-system',
  pathNormalization: { normalization: 'DEFAULT' as const },
  extensionProviders: [],
  accessLogFile: '',
});

/**
 * Sorts resources by kind. One of the same kind, namespace and name takes the place (and so the
 * age) of an
 * earlier one, as `kubectl apply` does. Ages: creationTimestamp, else the order given.
 */
export function collectMesh(resources: readonly AnyResource[]): MeshResources {
  const byName = new Map<string, AnyResource>();
  const replaced: { old: AnyResource; by: AnyResource }[] = [];
  for (const resource of resources) {
    const { namespace, name } = resource.metadata;
    // One mesh has one configuration, whatever its document is called.
    const key =
      resource.kind === 'MeshConfig' ? 'MeshConfig' : `${resource.kind}/${namespace}/${name}`;
    const old = byName.get(key);
    if (old !== undefined) replaced.push({ old, by: resource });
    byName.set(key, resource);
  }
  const all = [...byName.values()];
  const byKind = new Map<string, AnyResource[]>();
  for (const one of all) {
    const list = byKind.get(one.kind);
    if (list === undefined) byKind.set(one.kind, [one]);
    else list.push(one);
  }
  const of = <K extends AnyResource['kind']>(kind: K): Extract<AnyResource, { kind: K }>[] =>
    (byKind.get(kind) ?? []) as Extract<AnyResource, { kind: K }>[];
  const meshConfigs = of('MeshConfig');
  return {
    meshConfig: meshConfigs.at(-1)?.spec ?? defaultMeshConfig,
    meshConfigs,
    namespaces: of('Namespace'),
    serviceAccounts: of('ServiceAccount'),
    services: of('Service'),
    serviceEntries: byAge(of('ServiceEntry')),
    workloadEntries: of('WorkloadEntry'),
    pods: of('Pod'),
    endpointSlices: of('EndpointSlice'),
    deployments: all.filter((one): one is Deployment => DEPLOYMENT.test(one.kind)),
    authorizationPolicies: byAge(of('AuthorizationPolicy')),
    requestAuthentications: byAge(of('RequestAuthentication')),
    peerAuthentications: byAge(of('PeerAuthentication')),
    sidecars: byAge(of('Sidecar')),
    telemetries: byAge(of('Telemetry')),
    destinationRules: byAge(of('DestinationRule')),
    circuitBreakers: byAge(of('CircuitBreaker')),
    healthChecks: byAge(of('HealthCheck')),
    virtualServices: byAge(of('VirtualService')),
    httpRoutes: byAge(of('HTTPRoute')),
    grpcRoutes: byAge(of('GRPCRoute')),
    referenceGrants: of('ReferenceGrant'),
    secrets: of('Secret'),
    extensions: byAge(all.filter((one) => isExtension(one))),
    replaced,
  };
}

const DEPLOYMENT = /^(Deployment|StatefulSet|DaemonSet)$/;

/** Every workload: those of Deployments and their like, and the pods that none of them owns. */
export function workloadsOf(mesh: MeshResources): MeshWorkload[] {
  const declarers = portDeclarers(mesh);
  const declaring = (namespace: string): PortDeclarers => declarers.get(namespace) ?? noDeclarers;
  const stanceOf = stances(mesh.namespaces);
  const workloads = mesh.deployments.map((deployment): MeshWorkload => {
    const { kind, metadata, spec, origin } = deployment;
    const { metadata: pod, spec: podSpec } = spec.template;
    const described = describe(declaring, metadata, pod.labels, podSpec, [metadata, pod]);
    const injected = wantsSidecar(stanceOf(metadata.namespace), metadata, pod);
    return { ...described, injected, kind, resource: deployment, origin };
  });
  const owned = new Set(workloads.map(({ namespace, name }) => `${namespace}/${name}`));
  for (const pod of mesh.pods) {
    const { kind, metadata, spec, origin } = pod;
    const owner = metadata.annotations[workloadAnnotation] ?? metadata.name;
    // A pod that says whose it is, as `selvage up` writes it, stands for that workload.
    const name = `${metadata.namespace}/${owner}`;
    if (owned.has(name)) continue;
    owned.add(name);
    const own = { ...metadata, name: owner };
    const described = describe(declaring, own, metadata.labels, spec, [metadata]);
    const injected = wantsSidecar(stanceOf(metadata.namespace), metadata);
    workloads.push({ ...described, injected, kind, resource: pod, origin });
  }
  return workloads;
}

/** The workload that a pod of a cluster stands for. @param declarers of its namespace */
export function workloadOfPod(pod: Pod, declarers: PortDeclarers): Workload {
  const { namespace, name, labels, annotations } = pod.metadata;
  return {
    namespace,
    name: annotations[workloadAnnotation] ?? name,
    labels,
    serviceAccount: pod.spec.serviceAccountName,
    ports: portsOf(declarers, labels, pod.spec),
  };
}

function describe(
  declaring: (namespace: string) => PortDeclarers,
  metadata: ObjectMeta,
  labels: Readonly<Record<string, string>>,
  spec: PodSpec,
  marked: readonly Marked[],
): Omit<MeshWorkload, 'kind' | 'resource' | 'origin' | 'injected'> {
  const { namespace, name } = metadata;
  const { serviceAccountName: serviceAccount, containers } = spec;
  const ports = portsOf(declaring(namespace), labels, spec);
  const marks = injectionMarks(...marked);
  return { namespace, name, labels, serviceAccount, ports, marks, containers };
}

function byAge<R extends { readonly metadata: ObjectMeta }>(resources: readonly R[]): R[] {
  return resources.toSorted((a, b) => {
    const older = a.metadata.creationTimestamp;
    const newer = b.metadata.creationTimestamp;
    if (older === undefined || newer === undefined) return 0;
    return older.localeCompare(newer) || a.metadata.name.localeCompare(b.metadata.name);
  });
}
