// Where a node of a resource was written: paths, lines and columns, for messages. Loads nothing.
import type { Problem } from './problem.ts';
import type { Origin } from './resource.ts';

/** A place in a file; the parts are absent where a resource came from a cluster. */
export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** Anything that may know where it was written. */
export interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly origin?: Origin;
}

/** A finding about one node of a resource, before its place is looked up. */
export interface Finding {
  readonly severity: Problem['severity'];
  readonly code: string;
  readonly path: string;
  readonly message: string;
  readonly mend?: string;
}

// Beside the origin and not in it: only messages at the desk want columns, and origins travel to
// sidecars.
const columns = new WeakMap<Origin, Readonly<Record<string, number>>>();

const PLAIN_KEY = /^[\w$-]+$/;

/** `spec` + `rules` = `spec.rules`; a key with other characters becomes `labels["app.io/name"]`. */
export function joinKey(path: string, key: string): string {
  if (!PLAIN_KEY.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** `spec.rules` + 0 = `spec.rules[0]`. */
export function joinIndex(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** Remembers the column of each node, by the same paths as `origin.lines`. */
export function rememberColumns(origin: Origin, of: Readonly<Record<string, number>>): void {
  columns.set(origin, of);
}

/** What was remembered; empty where nothing was. */
export function columnsOf(origin: Origin): Readonly<Record<string, number>> {
  return columns.get(origin) ?? {};
}

/** The place of a node, or of its nearest ancestor that was written. */
export function placeOf(origin: Origin | undefined, path: string): Place {
  // A problem names its resource anyway, and in a cluster there is nothing else to name.
  if (origin === undefined || origin.line === 0) return {};
  const { file } = origin;
  for (let at = path; at !== ''; at = parentOf(at)) {
    const line = origin.lines[at];
    if (line !== undefined) return { file, line, column: columnsOf(origin)[at] ?? 1 };
  }
  return { file, line: origin.line, column: 1 };
}

/** The origin of a resource that a cluster has: its name stands where a file has its path. */
export function clusterOrigin(resource: Written): Origin {
  return { file: nameOf(resource), line: 0, lines: {} };
}

export function isOfCluster({ origin }: Pick<Written, 'origin'>): boolean {
  return origin?.line === 0;
}

/** `Kind namespace/name`. */
export function nameOf(resource: Written): string {
  const { name, namespace } = resource.metadata;
  return `${resource.kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}

/** A problem of a resource with the place of the node it is about. */
export function problemAt(resource: Written, finding: Finding): Problem {
  const { path, ...rest } = finding;
  return { ...rest, ...placeOf(resource.origin, path), resource: nameOf(resource) };
}

function parentOf(path: string): string {
  if (path.endsWith(']')) {
    const quoted = path.endsWith('"]');
    return path.slice(0, Math.max(0, path.lastIndexOf(quoted ? '["' : '[')));
  }
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}
