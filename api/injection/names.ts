// What injection calls things, in pods, on the network and in annotations: the words that all parts of the mesh share.

export const initName = 'selvage-init';
/** A native sidecar, so among the init containers. */
export const proxyName = 'selvage-proxy';
export const systemNamespace = 'selvage-system';

/** Never injected: what keeps the cluster and the mesh itself alive must not wait for the mesh. */
export const protectedNamespaces = [
  'kube-system',
  'kube-public',
  'kube-node-lease',
  systemNamespace,
] as const;

export function isProtected(namespace: string): boolean {
  return protectedNamespaces.some((name) => name === namespace);
}

/** The sidecar's uid: its traffic is not captured. */
export const proxyUid = 1337;

export const ports = {
  admin: 15000,
  outbound: 15001,
  inbound: 15006,
  metrics: 15020,
  health: 15021,
  prometheus: 15090,
} as const;

/** Where names are answered, of pods that ask for it. */
export const dnsPort = 15053;

export const volumes = {
  token: 'selvage-token',
  trust: 'selvage-trust',
  state: 'selvage-state',
} as const;

export const folders = {
  token: '/var/run/secrets/selvage',
  trust: '/var/run/selvage/trust',
  state: '/var/lib/selvage',
} as const;

/** Written by the injector. */
export const statusAnnotation = 'sidecar.istio.io/status';
/** The workload that a pod belongs to, where its owner references do not say. */
export const workloadAnnotation = 'selvage.dev/workload';
export const localPortsAnnotation = 'selvage.dev/local-ports';
/**
 * On pod templates: what the workload itself says of injection. A key of its own, so that a mark that its author takes
 * away from the workload goes from the template too, and what the author wrote on the template stays.
 */
export const carriedAnnotation = 'selvage.dev/workload-inject';

/** Labels that opt a namespace in, and their values that keep it out whatever its pods say. */
export const namespaceLabels = [
  { key: 'inject', yes: 'true', no: 'false' },
  { key: 'istio-injection', yes: 'enabled', no: 'disabled' },
] as const;
