// Which calls of one side are logged, and where: by the rules of Istio's merging, which knows providers level by level.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { TelemetryLogging } from '#api/kinds/telemetry.ts';
import type { AccessLogSettings } from '#api/telemetry.ts';

import { envoyLog, providerOf } from './providers.ts';
import { isFor, type Side } from './telemetries.ts';

type Format = AccessLogSettings['format'];

/**
 * Null: nothing is said, and the sidecar's own setting counts. Empty: nothing is logged.
 * @param levels of each resource, the widest first
 */
export function logsOf(
  side: Side,
  levels: readonly (readonly TelemetryLogging[])[],
  mesh: MeshConfig,
): AccessLogSettings[] | null {
  const said = levels.filter((level) => level.length > 0);
  const defaults = mesh.defaultProviders?.accessLogging ?? [];
  if (said.length === 0 && defaults.length === 0) return ofMesh(mesh);
  const filters = merge(side, said, defaults);
  return [...filters].flatMap(([name, filter]) => {
    const log = logOf(name, mesh);
    return log === null ? [] : [{ ...log, ...(filter !== '' && { filter }) }];
  });
}

/** Filter by provider; '': everything is logged. */
function merge(
  side: Side,
  levels: readonly (readonly TelemetryLogging[])[],
  defaults: readonly string[],
): Map<string, string> {
  if (levels.length === 0) return new Map(defaults.map((name) => [name, '']));
  const filterOf = new Map<string, string>();
  let scope = defaults;
  for (const level of levels) {
    const names = level.flatMap((one) => namesOf(one));
    for (const one of level) {
      for (const name of namesOf(one)) filterOf.set(name, one.filter?.expression ?? '');
    }
    // The narrowest level that names providers says which count at all.
    if (names.length > 0) scope = names;
  }
  const found = new Map<string, string>();
  let inherited = defaults;
  for (const one of levels.flat()) {
    const names = namesOf(one);
    const used = names.length > 0 ? names : inherited;
    inherited = used;
    if (!isFor(side, one.match)) continue;
    for (const name of used) {
      if (!scope.includes(name)) continue;
      if (one.disabled === true) found.delete(name);
      else found.set(name, filterOf.get(name) ?? one.filter?.expression ?? '');
    }
  }
  return found;
}

function namesOf({ providers = [] }: TelemetryLogging): string[] {
  return providers.map(({ name }) => name);
}

/** Null: what the provider wants is not served. */
function logOf(name: string, mesh: MeshConfig): AccessLogSettings | null {
  const provider = providerOf(name, mesh);
  const file = provider?.envoyFileAccessLog;
  if (provider === null || file === undefined) return null;
  const own = formatOf(file.logFormat);
  // As in Istio, the built-in one has the mesh's form.
  const format = own ?? (provider.name === envoyLog ? meshFormat(mesh) : undefined);
  return { provider: provider.name, path: file.path, ...(format !== undefined && { format }) };
}

/** MeshConfig's older way of saying it. */
function ofMesh(mesh: MeshConfig): AccessLogSettings[] | null {
  if (mesh.accessLogFile === '') return null;
  const format = meshFormat(mesh);
  return [
    { provider: envoyLog, path: mesh.accessLogFile, ...(format !== undefined && { format }) },
  ];
}

function meshFormat({ accessLogEncoding, accessLogFormat = '' }: MeshConfig): Format {
  if (accessLogEncoding === 'JSON') {
    const labels = accessLogFormat === '' ? null : parse(accessLogFormat);
    return labels === null ? { kind: 'json' } : { kind: 'json', fields: textsOf(labels) };
  }
  if (accessLogFormat !== '') return { kind: 'text', text: accessLogFormat };
  return accessLogEncoding === undefined ? undefined : { kind: 'text' };
}

function formatOf(
  written: { text?: string; labels?: Readonly<Record<string, unknown>> } | undefined,
): Format {
  if (written?.labels !== undefined) return { kind: 'json', fields: textsOf(written.labels) };
  return written?.text === undefined ? undefined : { kind: 'text', text: written.text };
}

/** Objects within objects are written with dots: `a.b`. */
function textsOf(labels: Readonly<Record<string, unknown>>, before = ''): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).flatMap(([key, value]): [string, string][] => {
      if (typeof value === 'string') return [[before + key, value]];
      if (typeof value !== 'object' || value === null) return [[before + key, String(value)]];
      return Object.entries(textsOf(value as Record<string, unknown>, `${before}${key}.`));
    }),
  );
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
