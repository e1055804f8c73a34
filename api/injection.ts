// Which workloads are in the mesh: those whose annotation or label asks for a sidecar.

/** Metadata of a workload, or of its pod template. */
export interface Marked {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const injectionKeys = ['inject', 'sidecar.istio.io/inject'] as const;

/** "true" on any of them asks for a sidecar, unless "false" on any of them refuses it. */
export function isInjected(...marks: readonly Marked[]): boolean {
  const values = injectionMarks(...marks);
  return values.includes('true') && !values.includes('false');
}

/** What was written under the keys of injection, in any spelling. */
export function injectionMarks(...marks: readonly Marked[]): string[] {
  return marks.flatMap(({ labels = {}, annotations = {} }) =>
    injectionKeys.flatMap((key) =>
      [annotations[key], labels[key]].filter((value) => value !== undefined),
    ),
  );
}
