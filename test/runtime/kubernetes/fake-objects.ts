// What a Kubernetes API server does with paths, selectors and patches, as far as tests need it.
import type { KubeObject } from '#runtime/kubernetes/client.ts';

export interface ApiPath {
  /** `/api/v1/pods`, whatever the namespace */
  readonly collection: string;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly subresource: string | null;
}

export function parsePath(path: string): ApiPath | null {
  const match = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/(.+)$/.exec(path);
  const prefix = match?.[1];
  if (match === null || prefix === undefined) return null;
  const parts = (match[2] ?? '').split('/').map((part) => decodeURIComponent(part));
  const scoped = parts[0] === 'namespaces' && parts.length >= 3 && parts[2] !== 'status';
  const [resource, name, subresource] = scoped ? parts.slice(2) : parts;
  return {
    collection: `${prefix}/${resource}`,
    namespace: scoped ? (parts[1] ?? null) : null,
    name: name ?? null,
    subresource: subresource ?? null,
  };
}

/** Whether a list or watch of `path` with these selectors has the object. */
export function matches(object: KubeObject, path: ApiPath, query: URLSearchParams): boolean {
  const { namespace, labels = {} } = object.metadata;
  if (path.namespace !== null && path.namespace !== namespace) return false;
  const fields = (query.get('fieldSelector') ?? '').split(',').filter((part) => part !== '');
  const terms = (query.get('labelSelector') ?? '').split(',').filter((part) => part !== '');
  return (
    fields.every((term) => termHolds(term, (name) => fieldAt(object, name))) &&
    terms.every((term) => termHolds(term, (name) => labels[name]))
  );
}

/** RFC 7396. */
export function merged(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result: Record<string, unknown> = isFields(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}

/** RFC 6902: add, replace and remove. Throws where a path is not there. */
export function jsonPatched(target: unknown, operations: readonly unknown[]): unknown {
  const result = structuredClone(target);
  for (const operation of operations) {
    const { op, path, value } = operation as { op: string; path: string; value: unknown };
    const steps = path.split('/').slice(1);
    const names = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = names.pop() ?? '';
    const parent = names.reduce(
      (at: unknown, name) => (at as Record<string, unknown>)[name],
      result,
    );
    if (Array.isArray(parent)) {
      const index = last === '-' ? parent.length : Number(last);
      parent.splice(index, op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [value]));
    } else if (op === 'remove') delete (parent as Record<string, unknown>)[last];
    else (parent as Record<string, unknown>)[last] = value;
  }
  return result;
}

function termHolds(term: string, valueOf: (name: string) => string | undefined): boolean {
  const match = /^([^!=]+?)(!=|==?)(.*)$/.exec(term);
  if (match === null) {
    return term.startsWith('!')
      ? valueOf(term.slice(1)) === undefined
      : valueOf(term) !== undefined;
  }
  const equal = (valueOf(match[1] ?? '') ?? '') === match[3];
  return match[2] === '!=' ? !equal : equal;
}

function fieldAt(object: KubeObject, path: string): string | undefined {
  let at: unknown = object;
  for (const name of path.split('.')) at = isFields(at) ? at[name] : undefined;
  return typeof at === 'string' ? at : undefined;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
