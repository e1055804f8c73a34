// Which workload a pod belongs to, from what its controller wrote on it.
import type { Metadata } from './manifest.ts';

/**
 * The Deployment, StatefulSet, DaemonSet, Job or CronJob; of a pod that nobody controls, its own name.
 * A pod made from generateName has no name yet.
 */
export function workloadOf(metadata: Metadata): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner !== undefined) return ownerName(owner.kind, owner.name, metadata);
  const { name, generateName } = metadata;
  if (name) return name;
  return generateName?.replace(/-+$/, '') || 'pod';
}

function ownerName(kind: string, name: string, { labels }: Metadata): string {
  if (kind === 'ReplicaSet') {
    // Only a ReplicaSet that a Deployment (or Argo's Rollout) made has the hash in its name.
    const hash = labels?.['pod-template-hash'] ?? labels?.['rollouts-pod-template-hash'];
    return hash !== undefined && name.endsWith(`-${hash}`) ? name.slice(0, -hash.length - 1) : name;
  }
  // A CronJob adds the minutes since 1970.
  if (kind === 'Job') return name.replace(/(?<=.)-\d{8,10}$/, '');
  return name;
}

/** Labels by which Istio's tools group workloads; what is there already stays. */
export function canonicalLabels(
  labels: Readonly<Record<string, string>>,
  workload: string,
): Record<string, string> {
  const name = labels['app.kubernetes.io/name'] ?? labels['app'] ?? labelValue(workload);
  const revision = labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest';
  return {
    'service.istio.io/canonical-name': name,
    'service.istio.io/canonical-revision': revision,
  };
}

/** A name has up to 253 characters, a label's value 63. */
function labelValue(name: string): string {
  return name.slice(0, 63).replace(/[^A-Za-z0-9]+$/, '');
}
