// A whole collection of the API server: read page by page, keyed, compared.
import { KubeError, type KubeClient, type KubeObject, type Query } from './client.ts';

export interface Listed {
  readonly objects: readonly KubeObject[];
  /** Items that have no name. */
  readonly broken: readonly unknown[];
  /** To watch from. */
  readonly version: string;
}

interface ListPage {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly unknown[] | null;
}

const pageSize = 500;
/** Pages of one list are of one moment; on a busy server that may be forgotten before the last is read. */
const restartsMax = 2;

/** All objects as of one moment. A list that expires on the way is begun again, in the end without pages. */
export async function listAll(
  client: KubeClient,
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<Listed> {
  for (let restarts = 0; ; restarts += 1) {
    const limit = restarts === restartsMax ? undefined : String(pageSize);
    try {
      return await listPages(client, path, { ...query, limit }, signal);
    } catch (error) {
      const expired = error instanceof KubeError && error.status === 410;
      if (!expired || restarts === restartsMax) throw error;
    }
  }
}

/** `namespace/name`; of a cluster-scoped object `/name`. */
export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

/** The keys of what came, changed or went. */
export function differences(
  before: ReadonlyMap<string, KubeObject>,
  after: ReadonlyMap<string, KubeObject>,
): string[] {
  const changed: string[] = [];
  for (const [key, { metadata }] of after) {
    const old = before.get(key)?.metadata;
    // The uid too: one that was deleted and made again is another object.
    const same = old?.uid === metadata.uid && old?.resourceVersion === metadata.resourceVersion;
    if (old === undefined || !same || metadata.resourceVersion === undefined) changed.push(key);
  }
  for (const key of before.keys()) if (!after.has(key)) changed.push(key);
  return changed;
}

/** The object without the server's notes on who wrote which field, often half of it. */
export function withoutBallast(object: KubeObject): KubeObject {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

async function listPages(
  client: KubeClient,
  path: string,
  query: Query,
  signal?: AbortSignal,
): Promise<Listed> {
  const objects: KubeObject[] = [];
  const broken: unknown[] = [];
  let next: string | undefined;
  for (;;) {
    const page: ListPage = await client.get<ListPage>(path, { ...query, continue: next });
    for (const item of page.items ?? []) {
      if (isNamed(item)) objects.push(withType(item, page));
      else broken.push(item);
    }
    next = page.metadata?.continue;
    if (next === undefined || next === '' || signal?.aborted === true) {
      const version = page.metadata?.resourceVersion;
      if (version === undefined) throw new Error(`the list of ${path} has no resourceVersion`);
      return { objects, broken, version };
    }
  }
}

/** Items of a list do not repeat what the list says. */
function withType(item: KubeObject, page: ListPage): KubeObject {
  if (item.kind !== undefined && item.apiVersion !== undefined) return item;
  const { apiVersion, kind } = page;
  return { apiVersion, kind: kind?.replace(/List$/, ''), ...item };
}

function isNamed(item: unknown): item is KubeObject {
  if (typeof item !== 'object' || item === null || !('metadata' in item)) return false;
  const { metadata } = item;
  if (typeof metadata !== 'object' || metadata === null || !('name' in metadata)) return false;
  return typeof metadata.name === 'string' && metadata.name !== '';
}
