// What the path of a collection says: its API group, its resource, and the RBAC rule that reading it takes.

export interface CollectionPath {
  /** '' for the core group. */
  readonly group: string;
  readonly resource: string;
  /** null: of all namespaces, or of none. */
  readonly namespace: string | null;
}

/** Also of `…/status`, for the rule. Null: the path is no collection. */
export function parseCollectionPath(path: string): CollectionPath | null {
  const match =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+))?\/([^/]+(?:\/status)?)$/.exec(
      path,
    );
  const resource = match?.[3];
  if (match === null || resource === undefined) return null;
  return { group: match[1] ?? '', namespace: match[2] ?? null, resource };
}

/** The rule to add, as a sentence for an operator. */
export function missingRule(path: string, verbs: readonly string[]): string {
  const parsed = parseCollectionPath(path);
  if (parsed === null) return `allow ${verbs.join(', ')} of ${path}`;
  const { group, resource, namespace } = parsed;
  const rule = JSON.stringify({ apiGroups: [group], resources: [resource], verbs });
  const role = namespace === null ? 'ClusterRole' : `Role in namespace ${namespace}`;
  return `bind the service account to a ${role} with the rule ${rule}`;
}
