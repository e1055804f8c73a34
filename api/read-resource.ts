// One JSON value becomes a resource of a known kind, or the reasons why it is none: the same for
// files and for the webhook.
import { foreignKind } from './kinds/foreign.ts';
import { podStatus } from './kinds/pod.ts';
import { type KindEntry, kinds } from './kinds/table.ts';
import { isMeshDocument, readMeshDocument } from './mesh-document.ts';
import { type Finding, placeOf } from './origin.ts';
import type { Problem } from './problem.ts';
import {
  type Fields,
  finish,
  isFields,
  nameless,
  readMeta,
  type ReadResource,
  type ResourceSource,
} from './read-meta.ts';
import type { Resource } from './resource.ts';
import { emptyFields, shapeFindings, type SourceOf, unknownFields, withoutNulls } from './shape.ts';

const noSource: SourceOf = () => undefined;

/** Everything that is wrong with a document; what Istio's webhook would refuse is an error. */
export function validateResource(source: ResourceSource): Problem[] {
  return readResource(source).problems;
}

/** Never throws. */
export function readResource(source: ResourceSource): ReadResource {
  const { value, origin } = source;
  const unnamed = (finding: Finding): ReadResource => {
    const { path, ...rest } = finding;
    return { resource: null, problems: [{ ...rest, ...placeOf(origin, path) }] };
  };
  if (!isFields(value)) {
    const message = 'a resource is a mapping with apiVersion, kind and metadata';
    return unnamed({ severity: 'error', code: 'not-a-resource', path: '', message });
  }
  const { apiVersion, kind } = value;
  if (apiVersion === undefined && kind === undefined) {
    const message = 'this document has no apiVersion and no kind: it is no resource and is ignored';
    return unnamed({ severity: 'warning', code: 'not-a-resource', path: '', message });
  }
  if (typeof kind !== 'string') {
    return unnamed(
      error('kind', 'the document has no kind', 'add kind: AuthorizationPolicy or so'),
    );
  }
  if (isMeshDocument(value)) return readMeshDocument(value, source);
  if (typeof apiVersion !== 'string') {
    return unnamed(error('apiVersion', `${kind} has no apiVersion`, apiVersionOf(kind)));
  }
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  if (group === 'selvage.dev' && kind === 'PolicyTest') return readPolicyTest(value, source);
  const entry = kinds.get(`${group}/${kind}`);
  if (entry === undefined) {
    const said = foreignKind(group, kind);
    if (said === null) return { resource: null, problems: [] };
    return unnamed({ severity: 'warning', code: 'kind-unknown', path: 'kind', ...said });
  }
  if (!entry.versions.includes(version)) {
    const message = `${kind} has no version "${version}"`;
    const mend = `write apiVersion: ${group === '' ? '' : `${group}/`}${entry.versions[0]}`;
    return unnamed({ ...error('apiVersion', message, mend), code: 'version-unknown' });
  }
  if (entry.label !== undefined && !isLabelled(value, entry.label)) {
    return { resource: null, problems: [] };
  }
  return readKind(value, entry, source);
}

function isLabelled({ metadata }: Fields, [name, value]: readonly [string, string]): boolean {
  const labels = isFields(metadata) ? metadata['labels'] : undefined;
  return isFields(labels) && Object.hasOwn(labels, name) && labels[name] === value;
}

function readKind(value: Fields, entry: KindEntry, source: ResourceSource): ReadResource {
  const { origin, sourceOf = noSource } = source;
  const { findings, metadata } = readMeta(value, entry.namespaced, sourceOf);
  const at = entry.rootFields === undefined ? 'spec' : '';
  const written =
    entry.rootFields === undefined ? (value['spec'] ?? {}) : fieldsOf(value, entry.rootFields);
  const spec = withoutNulls(written);
  const parsed = entry.spec.safeParse(spec);
  if (entry.complete) {
    findings.push(...emptyFindings(written), ...unknownFields(entry.spec, spec, 'spec'));
  }
  if (!parsed.success) {
    findings.push(...shapeFindings(parsed.error.issues, spec, at, sourceOf));
  }
  const resource: Resource = {
    apiVersion: String(value['apiVersion']),
    kind: entry.kind,
    metadata: metadata ?? nameless(value),
    spec: parsed.data,
    ...(entry.kind === 'Pod' ? readStatus(value, findings, sourceOf) : {}),
    ...(origin === undefined ? {} : { origin }),
  };
  if (parsed.success && metadata !== null) findings.push(...(entry.validate?.(resource) ?? []));
  return finish(resource, findings);
}

function fieldsOf(value: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, value[name]]));
}

/** A file that a test helper reads further; only its metadata is looked at. */
function readPolicyTest(value: Fields, source: ResourceSource): ReadResource {
  const { findings, metadata } = readMeta(value, true, source.sourceOf ?? noSource);
  const resource = {
    apiVersion: String(value['apiVersion']),
    kind: 'PolicyTest',
    metadata: metadata ?? nameless(value),
    spec: value['spec'],
    document: value,
    ...(source.origin === undefined ? {} : { origin: source.origin }),
  };
  return finish(resource, findings);
}

/** An empty `from:` is as if it were not there, and the rule takes everyone. */
function emptyFindings(spec: unknown): Finding[] {
  return emptyFields(spec, 'spec').map((path) => ({
    severity: 'warning',
    code: 'field-empty',
    path,
    message: `${path} has no value: it counts as not written at all, and restricts nothing`,
    mend: 'give it a value, or remove the line; check the indentation of what follows',
  }));
}

function readStatus(value: Fields, findings: Finding[], sourceOf: SourceOf): object {
  const status = withoutNulls(value['status']);
  if (status === undefined || status === null) return {};
  const parsed = podStatus.safeParse(status);
  if (parsed.success) return { status: parsed.data };
  findings.push(...shapeFindings(parsed.error.issues, status, 'status', sourceOf));
  return {};
}

function apiVersionOf(kind: string): string {
  const entry = [...kinds.values()].find((one) => one.kind === kind);
  if (entry === undefined) return 'add it';
  return `add apiVersion: ${entry.group === '' ? '' : `${entry.group}/`}${entry.versions[0]}`;
}

function error(path: string, message: string, mend: string): Finding {
  return { severity: 'error', code: 'not-a-resource', path, message, mend };
}
