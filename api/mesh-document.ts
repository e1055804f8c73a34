// The mesh's configuration in its three forms: a ConfigMap `istio`, an IstioOperator, a MeshConfig
// document.
import { meshConfig } from './kinds/mesh-config.ts';
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
import type { Origin } from './resource.ts';
import { shapeFindings, type SourceOf, unknownFields, withoutNulls } from './shape.ts';
import { validateMeshConfig } from './validate/mesh-config.ts';
import { readYaml } from './yaml.ts';

/** The configuration, found in its document. */
interface Found {
  readonly config: unknown;
  readonly origin?: Origin;
  readonly sourceOf?: SourceOf;
  readonly problems: readonly Problem[];
}

export function isMeshDocument(value: Fields): boolean {
  const { kind, apiVersion, metadata } = value;
  if (kind === 'MeshConfig' || kind === 'IstioOperator') return true;
  return (
    kind === 'ConfigMap' &&
    apiVersion === 'v1' &&
    isFields(metadata) &&
    metadata['name'] === 'istio'
  );
}

export function readMeshDocument(value: Fields, source: ResourceSource): ReadResource {
  const found = findConfig(value, source);
  if (found === null) return { resource: null, problems: [] };
  const { config, origin, sourceOf = () => undefined, problems } = found;
  if (problems.length > 0) return { resource: null, problems: [...problems] };
  const named = { metadata: { name: 'istio', namespace: 'istio-system' }, ...value };
  const { findings, metadata } = readMeta(named, true, () => undefined);
  // Istio's own MeshConfig has many more fields, so only a likely slip is worth a word.
  const slips = unknownFields(meshConfig, config, 'spec').filter(isSlip);
  // An empty text is proto3's "not set".
  const given = withoutNulls(config);
  const set = isFields(given)
    ? Object.fromEntries(Object.entries(given).filter(([, field]) => field !== ''))
    : given;
  const parsed = meshConfig.safeParse(set ?? {});
  if (!parsed.success) {
    findings.push(...shapeFindings(parsed.error.issues, set, 'spec', sourceOf));
  } else findings.push(...validateMeshConfig(parsed.data));
  const resource = {
    apiVersion: typeof value['apiVersion'] === 'string' ? value['apiVersion'] : 'v1',
    kind: 'MeshConfig',
    metadata: metadata ?? nameless(value),
    spec: parsed.data,
    ...(origin === undefined ? {} : { origin }),
  };
  return finish(resource, [...findings, ...slips]);
}

function isSlip({ mend }: Finding): boolean {
  return mend?.startsWith('did you mean') === true;
}

function findConfig(value: Fields, source: ResourceSource): Found | null {
  const { kind, spec, data } = value;
  if (kind === 'ConfigMap') {
    const text = isFields(data) ? data['mesh'] : undefined;
    return typeof text === 'string' ? readEmbedded(text, source) : null;
  }
  const { origin, sourceOf } = source;
  if (kind === 'IstioOperator') {
    const config = isFields(spec) ? spec['meshConfig'] : undefined;
    if (config === undefined) return null;
    const from = 'spec.meshConfig';
    return {
      config,
      origin: moved(origin, from),
      sourceOf: movedSource(sourceOf, from),
      problems: [],
    };
  }
  if (spec !== undefined) return { config: spec, origin, sourceOf, problems: [] };
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...config } = value;
  return { config, origin: moved(origin, ''), sourceOf: movedSource(sourceOf, ''), problems: [] };
}

/** `data.mesh` is a text of YAML in YAML: its lines are counted from where the text begins. */
function readEmbedded(text: string, source: ResourceSource): Found {
  const { file = 'mesh' } = source.origin ?? {};
  const { documents, problems } = readYaml(text, file);
  const start = source.blockAt?.('data.mesh');
  const at = placeOf(source.origin, 'data.mesh');
  const shift = (line: number): number =>
    start === undefined ? (at.line ?? line) : start.line + line - 1;
  const shifted = problems.map((problem) => ({
    ...problem,
    ...at,
    ...(start === undefined || problem.line === undefined ? {} : { line: shift(problem.line) }),
  }));
  const [document] = documents;
  const lines: Record<string, number> = {};
  for (const [path, line] of Object.entries(document?.origin.lines ?? {})) {
    lines[underSpec(path)] = shift(line);
  }
  const origin = source.origin && { file, line: source.origin.line, lines };
  const sourceOf: SourceOf = (path) => document?.sourceOf(path.replace(/^spec\.?/, ''));
  return { config: document?.value ?? {}, origin, sourceOf, problems: shifted };
}

/** The same lines under the paths that the resource will have: all below `spec`. */
function moved(origin: Origin | undefined, from: string): Origin | undefined {
  if (origin === undefined) return undefined;
  const lines: Record<string, number> = {};
  const prefix = from === '' ? '' : `${from}.`;
  for (const [path, line] of Object.entries(origin.lines)) {
    if (path.startsWith(prefix)) lines[underSpec(path.slice(prefix.length))] = line;
  }
  return { file: origin.file, line: origin.line, lines };
}

function movedSource(sourceOf: SourceOf | undefined, from: string): SourceOf | undefined {
  return sourceOf && ((path) => sourceOf(path.replace(/^spec\.?/, from === '' ? '' : `${from}.`)));
}

function underSpec(path: string): string {
  return path === '' ? 'spec' : `spec.${path}`;
}
