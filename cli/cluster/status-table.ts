// The table of `selvage status`: what control says of each sidecar beside what runs in the cluster.
import { type Cell, paint, table } from '../table.ts';
import { formatAge } from './age.ts';
import type { Inventory } from './inventory.ts';
import { type Missing, missingSidecar } from './missing.ts';
import { ejectionLines, type Ejections, type LeftOut } from './sidecar-ejections.ts';
import { type LivePod, sidecarOf, versionOf } from './pods.ts';
import type { Sidecar } from './sidecars.ts';

export interface MeshStatus {
  readonly rows: readonly SidecarRow[];
  /** Pods that are to have a sidecar and have none. */
  readonly missing: readonly Missing[];
  /** Sidecars were asked for their certificates. */
  readonly certificates: boolean;
  /** null: nobody was asked. */
  readonly ejections: Ejections | null;
  readonly well: boolean;
}

/** A pod with a sidecar. */
export interface SidecarRow {
  readonly pod: LivePod;
  readonly version: string;
  /** null: it is connected to no replica of control. */
  readonly sidecar: Sidecar | null;
  /** null: it did not answer. */
  readonly certificateEndsMs: number | null;
}

/** What sidecars were asked themselves, by `namespace/pod`; null: nobody was asked. */
export interface Asked {
  /** Of certificates, ms since 1970. */
  readonly ends: ReadonlyMap<string, number> | null;
  readonly ejections: Ejections | null;
}

/** Joins them; pods of namespaces that were not read are left out. */
export function meshStatus(
  sidecars: readonly Sidecar[],
  inventory: Inventory,
  { ends, ejections }: Asked,
): MeshStatus {
  const known = new Map(sidecars.map((one) => [`${one.namespace}/${one.pod}`, one]));
  const pods = inventory.pods.toSorted((a, b) => compare(nameOf(a), nameOf(b)));
  const rows = pods.flatMap((pod): SidecarRow[] => {
    const container = sidecarOf(pod);
    if (container === undefined) return [];
    const sidecar = known.get(nameOf(pod)) ?? null;
    const version = sidecar?.version || versionOf(container.image);
    return [{ pod, version, sidecar, certificateEndsMs: ends?.get(nameOf(pod)) ?? null }];
  });
  const missing = pods.flatMap((pod) => missingSidecar(pod, inventory) ?? []);
  const synced = rows.every(({ sidecar }) => sidecar?.inSync === true);
  return {
    rows,
    missing,
    certificates: ends !== null,
    ejections,
    well: synced && missing.every(({ chosen }) => chosen),
  };
}

const heading = ['POD', 'WORKLOAD', 'VERSION', 'IN SYNC', 'SINCE', 'CONTROL'];

export function renderStatus(status: MeshStatus, nowMs: number, tty: boolean): string {
  const { rows, missing, certificates, ejections } = status;
  const lines = [...refusals(rows), ...missing.flatMap((one) => missingLines(one, tty))];
  if (rows.length > 0 && ejections !== null) lines.push(...ejectionLines(ejections, nowMs, tty));
  if (rows.length === 0 && lines.length === 0) {
    return 'no pod has a sidecar, and none asks for one\n';
  }
  const synced = rows.filter(({ sidecar }) => sidecar?.inSync === true).length;
  const lacking = missing.filter(({ chosen }) => !chosen).length;
  const without = lacking === 0 ? '' : `; ${counted(lacking, 'pod')} without one`;
  const sum = `${synced} of ${counted(rows.length, 'sidecar')} in sync${without}`;
  const titles = certificates ? [...heading, 'CERTIFICATE'] : heading;
  const cells = rows.map((row) => [
    ...cellsOf(row, nowMs),
    ...(certificates ? [certificateOf(row.certificateEndsMs, nowMs)] : []),
  ]);
  const shown = rows.length === 0 ? '' : table(titles, cells, tty);
  return `${shown}${lines.map((text) => `${text}\n`).join('')}${sum}\n`;
}

function refusals(rows: readonly SidecarRow[]): string[] {
  return rows
    .filter(({ sidecar }) => sidecar !== null && sidecar.refused !== '')
    .map(({ pod, sidecar }) => `${nameOf(pod)} refused its newest snapshot: ${sidecar?.refused}`);
}

function missingLines({ pod, why, mend, chosen }: Missing, tty: boolean): string[] {
  const head = `${nameOf(pod)} has no sidecar: ${why}`;
  return [paint(head, chosen ? 'dim' : 'red', tty), paint(`    ${mend}`, 'dim', tty)];
}

/** The same as data, for other programs; its fields only grow. */
export function statusJson({ rows, missing, ejections, well }: MeshStatus): object {
  return {
    well,
    sidecars: rows.map(({ pod, version, sidecar, certificateEndsMs }) => ({
      namespace: pod.namespace,
      pod: pod.name,
      workload: sidecar?.workload || pod.workload.name,
      version,
      connected: sidecar !== null,
      inSync: sidecar?.inSync ?? false,
      snapshot: sidecar?.snapshot ?? null,
      since: timeOf(sidecar?.snapshotSinceMs),
      refused: sidecar?.refused || null,
      connectedSince: timeOf(sidecar?.connectedSinceMs),
      control: sidecar?.replica ?? null,
      certificateEnds: timeOf(certificateEndsMs),
      ejections: ejectionsJson(ejections?.get(nameOf(pod))),
    })),
    missing: missing.map(({ pod, why, mend, chosen }) => ({
      namespace: pod.namespace,
      pod: pod.name,
      workload: pod.workload.name,
      why,
      mend,
      chosen,
    })),
  };
}

function ejectionsJson(ejections: readonly LeftOut[] | undefined): readonly object[] | null {
  if (ejections === undefined) return null;
  return ejections.map(({ atMs, reason, ...one }) => ({
    ...one,
    reason: reason || null,
    at: timeOf(atMs),
  }));
}

function cellsOf({ pod, version, sidecar }: SidecarRow, nowMs: number): Cell[] {
  const start = [nameOf(pod), sidecar?.workload || pod.workload.name, version || '-'];
  const cells = start.map((text): Cell => ({ text }));
  if (sidecar === null) {
    return [...cells, { text: 'not connected', colour: 'red' }, { text: '-' }, { text: '-' }];
  }
  const { snapshotSinceMs, replica } = sidecar;
  return [
    ...cells,
    syncOf(sidecar),
    { text: snapshotSinceMs === null ? '-' : formatAge(nowMs - snapshotSinceMs) },
    { text: replica || '-' },
  ];
}

function syncOf({ inSync, snapshot, refused }: Sidecar): Cell {
  if (inSync) return { text: `snapshot ${snapshot ?? '?'}`, colour: 'green' };
  if (snapshot === null) return { text: 'not yet', colour: 'yellow' };
  return { text: `no, keeps ${snapshot}`, colour: refused === '' ? 'yellow' : 'red' };
}

function certificateOf(endsMs: number | null, nowMs: number): Cell {
  if (endsMs === null) return { text: '-' };
  if (endsMs <= nowMs) return { text: `ended ${formatAge(nowMs - endsMs)} ago`, colour: 'red' };
  return { text: `ends in ${formatAge(endsMs - nowMs)}` };
}

function nameOf({ namespace, name }: LivePod): string {
  return `${namespace}/${name}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function timeOf(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
