// Which of our own kinds the API server has, and in which version: asked by trying, since that takes no further right.
import { pluralOf } from '#api/kinds/plural.ts';
import type { KindEntry } from '#api/kinds/table.ts';
import { KubeError, type KubeClient } from '#runtime/kubernetes/client.ts';

/** `/apis/security.istio.io/v1/authorizationpolicies` */
export function collectionPath({ group, kind }: KindEntry, version: string): string {
  const prefix = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${prefix}/${pluralOf(kind)}`;
}

/**
 * The collection of a kind in the first of its versions that is served. Null: none is, so its CRD is not installed.
 * Rejects when the API server cannot say.
 */
export async function servedPath(client: KubeClient, entry: KindEntry): Promise<string | null> {
  for (const version of entry.versions) {
    const path = collectionPath(entry, version);
    try {
      await client.get(path, { limit: '1' });
      return path;
    } catch (error) {
      const status = error instanceof KubeError ? error.status : 0;
      // It is there, and whoever reads it for good will say which right is missing.
      if (status === 403) return path;
      if (status !== 404) throw error;
    }
  }
  return null;
}
