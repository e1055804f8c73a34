// Kinds that are not read, and what to say about them: nothing where Kubernetes' own, a warning
// where a mesh's.
import { nearest } from '../spelling.ts';
import { kinds } from './table.ts';

/** Groups whose kinds decide nothing here; a folder of manifests is full of them. */
const quietGroups = /^(|apps|batch|autoscaling|policy|[a-z0-9.-]+\.k8s\.io)$/;
/** Istio kinds that change routing or telemetry: traffic flows as if they were not there. */
const meshGroups = /^([a-z]+\.istio\.io|gateway\.networking\.k8s\.io|selvage\.dev)$/;
const coreKinds = new Set(
  (
    'Binding ConfigMap Endpoints Event LimitRange Node PersistentVolume PersistentVolumeClaim ' +
    'PodTemplate ReplicationController ResourceQuota Secret'
  ).split(' '),
);

/** What a person should know about a document of this kind; null: nothing. */
export function foreignKind(
  group: string,
  kind: string,
): { message: string; mend?: string } | null {
  for (const entry of kinds.values()) {
    if (entry.kind !== kind || !isMisspelt(group, entry.group)) continue;
    const message = `${kind} is not in the group "${group}", so this document is ignored`;
    return { message, mend: `write apiVersion: ${apiVersion(entry)}` };
  }
  const entries = [...kinds.values()].filter((entry) => entry.group === group);
  const similar = coreKinds.has(kind)
    ? null
    : nearest(
        kind,
        entries.map((e) => e.kind),
      );
  if (similar !== null) {
    const message = `there is no kind ${kind} in ${group || 'v1'}: this document is ignored`;
    return { message, mend: `did you mean ${similar}?` };
  }
  if (meshGroups.test(group)) {
    const message = `${kind} (${group}) is not served by Selvage: this document changes nothing`;
    return { message, mend: 'do not count on it' };
  }
  if (quietGroups.test(group)) return null;
  return { message: `the kind ${kind} (${group || 'v1'}) is unknown: this document is ignored` };
}

/** A kind of another product may share its name with ours: only a near group is a slip. */
function isMisspelt(group: string, meant: string): boolean {
  return group !== meant && meant !== '' && nearest(group, [meant]) !== null;
}

function apiVersion(entry: { group: string; versions: readonly string[] }): string {
  const [version = 'v1'] = entry.versions;
  return entry.group === '' ? version : `${entry.group}/${version}`;
}
