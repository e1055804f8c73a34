// What kinds an API server serves, and under which paths.
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

/** A kind as this cluster serves it. */
export interface ServedKind {
  /** '' is Kubernetes' core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** In paths: `authorizationpolicies`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
  }[];
}

/** Kinds of one group, of the version that the server prefers; empty where it does not serve the group. */
export async function servedKinds(client: KubeClient, group: string): Promise<ServedKind[]> {
  const version = group === '' ? 'v1' : await preferredVersion(client, group);
  if (version === null) return [];
  const { resources = [] } = await client.get<ResourceList>(rootOf(group, version));
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map(({ name, kind, namespaced }) => ({ group, version, kind, plural: name, namespaced }));
}

/** Where objects of a kind are: all of them, or those of a namespace. */
export function pathOf(served: ServedKind, namespace?: string): string {
  const { group, version, plural, namespaced } = served;
  const inside = namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  return `${rootOf(group, version)}${inside}/${plural}`;
}

interface ObjectList {
  readonly items: readonly KubeObject[];
  readonly metadata?: { readonly continue?: string };
}

/** All objects of a collection, in pages, so that no answer is too large. */
export async function listAll(
  client: KubeClient,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<KubeObject[]> {
  const objects: KubeObject[] = [];
  let next: string | undefined;
  do {
    const page: ObjectList = await client.get<ObjectList>(path, {
      ...query,
      limit: '500',
      continue: next,
    });
    objects.push(...page.items);
    next = page.metadata?.continue === '' ? undefined : page.metadata?.continue;
  } while (next !== undefined);
  return objects;
}

/** The object; null where there is none. */
export async function getOrNull(client: KubeClient, path: string): Promise<KubeObject | null> {
  try {
    return await client.get<KubeObject>(path);
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return null;
    throw error;
  }
}

async function preferredVersion(client: KubeClient, group: string): Promise<string | null> {
  try {
    const found = await client.get<{ preferredVersion?: { version?: string } }>(`/apis/${group}`);
    return found.preferredVersion?.version ?? null;
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return null;
    throw error;
  }
}

function rootOf(group: string, version: string): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}
