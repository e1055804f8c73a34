// Which workloads are in the mesh: those whose annotation or label, or whose namespace, asks for a sidecar.
import { carriedAnnotation, namespaceLabels } from './injection/names.ts';

/** Metadata of a workload, or of its pod template. */
export interface Marked {
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
}

/** What users write; each as annotation or label. */
export const injectionKeys = ['inject', 'sidecar.istio.io/inject'] as const;

export type NamespaceStance = 'opted-in' | 'kept-out' | 'silent';

/** "true" on any of them asks for a sidecar, unless "false" on any of them refuses it. */
export function isInjected(...marks: readonly Marked[]): boolean {
  const values = injectionMarks(...marks);
  return values.includes('true') && !values.includes('false');
}

/** The same, where the namespace of the marked is known. */
export function wantsSidecar(stance: NamespaceStance, ...marks: readonly Marked[]): boolean {
  const values = injectionMarks(...marks);
  if (stance === 'kept-out' || values.includes('false')) return false;
  return stance === 'opted-in' || values.includes('true');
}

/** What was written under the keys of injection, in any spelling. */
export function injectionMarks(...marks: readonly Marked[]): string[] {
  return marks
    .flatMap(({ labels, annotations }) => [
      ...injectionKeys.flatMap((key) => [annotations?.[key], labels?.[key]]),
      annotations?.[carriedAnnotation],
    ])
    .filter((value) => value !== undefined);
}

/** For each namespace that is known what it says; the others are silent. */
export function stances(
  namespaces: readonly { readonly metadata: { readonly name: string } & Marked }[],
): (namespace: string) => NamespaceStance {
  const known = new Map(
    namespaces.map(({ metadata }) => [metadata.name, stanceOf(metadata.labels ?? {})]),
  );
  return (namespace) => known.get(namespace) ?? 'silent';
}

/** What the labels of a namespace say for all its pods; to keep them out wins. */
export function stanceOf(labels: Readonly<Record<string, string>>): NamespaceStance {
  if (namespaceLabels.some(({ key, no }) => labels[key] === no)) return 'kept-out';
  return namespaceLabels.some(({ key, yes }) => labels[key] === yes) ? 'opted-in' : 'silent';
}
