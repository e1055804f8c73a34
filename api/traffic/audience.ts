// Who sees what is exported: namespaces of callers.

/**
 * Istio exportTo: `.` own namespace, `*` all, `~` none, else a namespace. Null: all namespaces, as where nothing is written.
 * @param own namespace of what is exported
 */
export function audienceOf(exportTo: readonly string[], own: string): ReadonlySet<string> | null {
  if (exportTo.length === 0 || exportTo.includes('*')) return null;
  return new Set(exportTo.map((word) => (word === '.' ? own : word)));
}
