// A replica's report as it goes to another: each resource is named once, sidecars with the same snapshot share its list.
import type { Generations, ReplicaReport, SidecarPolicies, SidecarReport } from './report.ts';

/** JSON of `GET /v1/sidecars`. */
export interface ReportMessage {
  readonly id: string;
  readonly replica: string;
  readonly resources: readonly (readonly [key: string, generation: number])[];
  /** Indices into `resources`. */
  readonly known: readonly number[];
  /** Each the resources of one snapshot, as indices. */
  readonly sets: readonly (readonly number[])[];
  /** With indices into `sets`. */
  readonly sidecars: readonly (SidecarReport & {
    readonly wantedSet: number;
    readonly ackedSet: number;
  })[];
}

/** A report that is not what another version of control, or anybody else, should send. */
export class ReportMalformed extends Error {
  override readonly name = 'ReportMalformed';
}

export function encodeReport(report: ReplicaReport): ReportMessage {
  const resources = new Table<string, readonly [string, number]>();
  const sets = new Table<Generations, number[]>();
  const indicesOf = (generations: Generations): number[] =>
    [...generations].map(([key, generation]) =>
      resources.indexOf(`${key}@${generation}`, () => [key, generation]),
    );
  const setOf = (generations: Generations): number =>
    sets.indexOf(generations, () => indicesOf(generations));
  const sidecars = report.sidecars.map(({ wanted, acked, ...sidecar }) => ({
    ...sidecar,
    wantedSet: setOf(wanted),
    ackedSet: setOf(acked),
  }));
  const known = indicesOf(report.known);
  const { id, replica } = report;
  return { id, replica, resources: resources.rows, known, sets: sets.rows, sidecars };
}

/** Throws ReportMalformed. */
export function decodeReport(message: unknown): ReplicaReport {
  const { id, replica, resources, known, sets, sidecars } = fieldsOf(message);
  const table = listOf(resources).map((row): readonly [string, number] => {
    const [key, generation] = listOf(row);
    if (typeof key !== 'string' || typeof generation !== 'number') throw malformed('resources');
    return [key, generation];
  });
  const generationsOf = (indices: unknown): Generations =>
    new Map(listOf(indices).map((index) => at(table, index)));
  const decodedSets = listOf(sets).map(generationsOf);
  if (typeof id !== 'string' || typeof replica !== 'string') throw malformed('replica');
  return {
    id,
    replica,
    known: generationsOf(known),
    sidecars: listOf(sidecars).map((sidecar) => decodeSidecar(fieldsOf(sidecar), decodedSets)),
  };
}

function decodeSidecar(
  fields: Readonly<Record<string, unknown>>,
  sets: readonly Generations[],
): SidecarPolicies {
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value !== 'string') throw malformed(name);
    return value;
  };
  const count = (name: string): number | null => {
    const value = fields[name];
    if (value !== null && typeof value !== 'number') throw malformed(name);
    return value;
  };
  return {
    namespace: text('namespace'),
    workload: text('workload'),
    pod: text('pod'),
    version: text('version'),
    connectedSince: text('connectedSince'),
    ackedVersion: count('ackedVersion'),
    ackedAt: fields['ackedAt'] === null ? null : text('ackedAt'),
    wantedVersion: count('wantedVersion'),
    inSync: fields['inSync'] === true,
    refused: text('refused'),
    wanted: at(sets, fields['wantedSet']),
    acked: at(sets, fields['ackedSet']),
  };
}

/** Rows, each once. */
class Table<Key, Row> {
  readonly rows: Row[] = [];
  readonly #indices = new Map<Key, number>();

  indexOf(key: Key, make: () => Row): number {
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    const row = make();
    this.rows.push(row);
    this.#indices.set(key, this.rows.length - 1);
    return this.rows.length - 1;
  }
}

function at<T>(rows: readonly T[], index: unknown): T {
  const row = typeof index === 'number' ? rows[index] : undefined;
  if (row === undefined) throw malformed('an index');
  return row;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw malformed('an object');
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed('a list');
  return value;
}

function malformed(what: string): ReportMalformed {
  return new ReportMalformed(`the report of a replica is malformed: ${what}`);
}
