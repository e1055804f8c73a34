// What is kept of the objects of a cluster: what snapshots are made of, a tenth of what the API server sends.
import { injectionKeys } from '#api/injection.ts';
import { proxyName, workloadAnnotation } from '#api/injection/names.ts';
import { serviceNameLabel } from '#api/kinds/endpoint-slice.ts';
import { hashesOf } from '#api/kinds/secret.ts';
import type { KubeMeta, KubeObject } from '#runtime/kubernetes/client.ts';

type Fields = Readonly<Record<string, unknown>>;
type Texts = Readonly<Record<string, string>>;

/** The whole object as it was applied, which would go to every sidecar. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** Policies keep all that was written. */
export function slimPolicy({ apiVersion, kind, metadata, spec, data }: KubeObject): KubeObject {
  const { [lastApplied]: _, ...annotations } = metadata.annotations ?? {};
  return { apiVersion, kind, metadata: slimMeta(metadata, annotations), spec, data };
}

/** Control keeps no key of the cluster longer than it takes to hash it. */
export function slimSecret({ apiVersion, kind, metadata, data }: KubeObject): KubeObject {
  const texts = Object.entries(fields(data)).map(([name, value]) => [name, String(value)]);
  const hashes = hashesOf(Object.fromEntries(texts));
  return { apiVersion, kind, metadata: slimMeta(metadata, {}), hashes };
}

export function slimService({ apiVersion, kind, metadata, spec }: KubeObject): KubeObject {
  const { type, selector, ports, clusterIP, clusterIPs, ipFamilies, externalName } = fields(spec);
  const kept = { type, selector, ports, clusterIP, clusterIPs, ipFamilies, externalName };
  return { apiVersion, kind, metadata: slimMeta(metadata, {}), spec: kept };
}

export function slimSlice(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, addressType, ports } = object;
  const service = metadata.labels?.[serviceNameLabel];
  const labels: Texts = service === undefined ? {} : { [serviceNameLabel]: service };
  const endpoints = items(object['endpoints']).map((endpoint) => {
    const { addresses, conditions, nodeName, zone, targetRef } = endpoint;
    const { kind, namespace, name, uid } = fields(targetRef);
    const target = targetRef === undefined ? undefined : { kind, namespace, name, uid };
    return { addresses, conditions, nodeName, zone, targetRef: target };
  });
  const meta = { ...slimMeta(metadata, {}), labels };
  return { apiVersion, kind, metadata: meta, addressType, endpoints, ports };
}

/** With the name of its workload, also where the injector did not write it. */
export function slimPod({ apiVersion, kind, metadata, spec, status }: KubeObject): KubeObject {
  const { serviceAccountName, hostNetwork, containers, initContainers } = fields(spec);
  const { phase, podIP, podIPs, conditions } = fields(status);
  const own = Object.entries(metadata.annotations ?? {}).filter(
    ([name]) =>
      name.startsWith('selvage.dev/') || (injectionKeys as readonly string[]).includes(name),
  );
  const annotations = { [workloadAnnotation]: ownerOf(metadata), ...Object.fromEntries(own) };
  return {
    apiVersion,
    kind,
    metadata: slimMeta(metadata, annotations),
    spec: {
      serviceAccountName,
      ...(hostNetwork === true ? { hostNetwork } : {}),
      initContainers: items(initContainers).filter(isProxy).map(nameOnly),
      // What the sidecar itself listens on is no port of the workload.
      containers: items(containers).map((one) =>
        isProxy(one) ? nameOnly(one) : { name: one['name'], ports: one['ports'] },
      ),
    },
    status: {
      phase,
      podIP,
      podIPs,
      // The others come with every probe and say nothing here.
      conditions: items(conditions)
        .filter(({ type }) => type === 'Ready')
        .map(({ type, status: holds }) => ({ type, status: holds })),
    },
  };
}

/** The name that a person gave: a Deployment's, not that of its ReplicaSet; a CronJob's, not that of one of its Jobs. */
function ownerOf({ name, labels = {}, ownerReferences = [] }: KubeMeta): string {
  const owner = ownerReferences.find(({ controller }) => controller === true);
  if (owner === undefined) return name;
  const hash = labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return owner.name.slice(0, -hash.length - 1);
  }
  // A CronJob numbers its Jobs by the minute they are for.
  return owner.kind === 'Job' ? owner.name.replace(/-\d{8,10}$/, '') : owner.name;
}

function slimMeta(metadata: KubeMeta, annotations: Texts): KubeMeta {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = metadata;
  const base = { name, namespace, uid, resourceVersion, generation, creationTimestamp };
  return { ...base, labels: metadata.labels ?? {}, annotations };
}

function isProxy({ name }: Fields): boolean {
  return name === proxyName;
}

function nameOnly({ name }: Fields): Fields {
  return { name };
}

/** Objects of a list; whatever else is in it is none of ours. */
function items(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
