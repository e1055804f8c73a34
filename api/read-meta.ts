// What all kinds share: metadata, and how findings become the problems of a named resource.
import type { AnyResource } from './load.ts';
import { type Finding, nameOf, placeOf } from './origin.ts';
import type { Problem } from './problem.ts';
import { type ObjectMeta, objectMeta, type Origin, type Resource } from './resource.ts';
import { shapeFindings, type SourceOf, withoutNulls } from './shape.ts';
import type { Position } from './yaml.ts';

/** A value to read, and where it was written. */
export interface ResourceSource {
  readonly value: unknown;
  readonly origin?: Origin;
  readonly sourceOf?: SourceOf;
  readonly blockAt?: (path: string) => Position | undefined;
}

export interface ReadResource {
  /** null: it has errors, or is of a kind that means nothing here. */
  readonly resource: AnyResource | null;
  readonly problems: Problem[];
}

export type Fields = Readonly<Record<string, unknown>>;

export function finish(resource: Resource, findings: readonly Finding[]): ReadResource {
  const named = nameOf(resource);
  const problems = findings.map(({ path, ...rest }): Problem => {
    const place = resource.origin === undefined ? { path } : placeOf(resource.origin, path);
    return { ...rest, ...place, resource: named };
  });
  const bad = findings.some(({ severity }) => severity === 'error');
  return { resource: bad ? null : (resource as AnyResource), problems };
}

export function readMeta(
  value: Fields,
  namespaced: boolean,
  sourceOf: SourceOf,
): { findings: Finding[]; metadata: ObjectMeta | null } {
  const meta = withoutNulls(value['metadata']);
  const parsed = objectMeta.safeParse(meta ?? {});
  if (!parsed.success) {
    const findings = shapeFindings(parsed.error.issues, meta ?? {}, 'metadata', sourceOf);
    return { findings, metadata: null };
  }
  const metadata = namespaced ? parsed.data : { ...parsed.data, namespace: '' };
  const findings: Finding[] = [];
  if (!NAME.test(metadata.name) || metadata.name.length > 253) {
    findings.push(nameFinding('metadata.name', metadata.name));
  }
  if (namespaced && (!LABEL.test(metadata.namespace) || metadata.namespace.length > 63)) {
    findings.push(nameFinding('metadata.namespace', metadata.namespace));
  }
  return { findings, metadata };
}

/** RFC 1123 subdomain and label, as Kubernetes asks of names and namespaces. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

function nameFinding(path: string, name: string): Finding {
  const shown = name.length > 80 ? `${name.slice(0, 79)}…` : name;
  const message = `"${shown}" is no name that Kubernetes takes`;
  const mend = 'use lower-case letters, digits and "-"; begin and end with a letter or digit';
  return { severity: 'error', code: 'name-invalid', path, message, mend };
}

/** What can be said of a resource whose metadata is broken. */
export function nameless(value: Fields): ObjectMeta {
  const meta = value['metadata'];
  const name = isFields(meta) && typeof meta['name'] === 'string' ? meta['name'] : '(no name)';
  return { name, namespace: 'default', labels: {}, annotations: {} };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
