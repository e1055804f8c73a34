// What an edit of the YAML asks of the pods that run: which begin, which end, which go on otherwise. Pure.
import { type LocalPod, podKey } from './plan.ts';

export interface PodChanges {
  readonly added: readonly LocalPod[];
  readonly removed: readonly LocalPod[];
  readonly changed: readonly PodChange[];
}

export interface PodChange {
  readonly before: LocalPod;
  readonly after: LocalPod;
  /** For people: `command`, `env`, `ports`. */
  readonly what: readonly string[];
  /** The sidecar as well: it learns its identity and its ports when it starts. */
  readonly withSidecar: boolean;
}

/** What has to be done for `before` to become `after`. */
export function podChanges(before: readonly LocalPod[], after: readonly LocalPod[]): PodChanges {
  const old = new Map(before.map((pod) => [podKey(pod), pod]));
  const kept = new Set(after.map(podKey));
  return {
    added: after.filter((pod) => !old.has(podKey(pod))),
    removed: before.filter((pod) => !kept.has(podKey(pod))),
    changed: after.flatMap((pod) => {
      const was = old.get(podKey(pod));
      const change = was === undefined ? null : changeOf(was, pod);
      return change === null ? [] : [change];
    }),
  };
}

function changeOf(before: LocalPod, after: LocalPod): PodChange | null {
  const differs = (part: (pod: LocalPod) => unknown): boolean =>
    JSON.stringify(part(before)) !== JSON.stringify(part(after));
  const ofSidecar = [
    ['injection', differs(({ sidecar }) => sidecar)],
    ['service account', differs(({ serviceAccount }) => serviceAccount)],
    ['ports', differs(({ ports }) => ports)],
    ['TCP services', differs(({ bytesPorts }) => bytesPorts)],
  ] as const;
  const ofPrograms = [
    ['containers', differs(({ programs }) => programs.map(({ container }) => container))],
    ['command', differs(({ programs }) => programs.map(({ argv }) => argv))],
    ['folder', differs(({ programs }) => programs.map(({ cwd }) => cwd))],
    ['env', differs(({ programs }) => programs.map(({ variables }) => variables))],
    ['labels', differs(({ labels }) => labels)],
  ] as const;
  const what = [...ofSidecar, ...ofPrograms].flatMap(([name, is]) => (is ? [name] : []));
  if (what.length === 0) return null;
  return { before, after, what, withSidecar: ofSidecar.some(([, is]) => is) };
}
