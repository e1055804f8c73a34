// The sidecars of a cluster as control sees them.
import { parseJsonList, type JsonFields } from './json-fields.ts';

/** A sidecar that is connected to a replica of control. */
export interface Sidecar {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** Of the sidecar's program; '' where it did not say. */
  readonly version: string;
  readonly connectedSinceMs: number | null;
  /** The snapshot that it enforces; null: none yet. */
  readonly snapshot: number | null;
  readonly snapshotSinceMs: number | null;
  /** It enforces the newest that control has for it. */
  readonly inSync: boolean;
  /** Why it refused the newest; '' when it did not. */
  readonly refused: string;
  /** The replica of control. */
  readonly replica: string;
}

/** Reads what control answers. */
export function sidecarsOf(answer: unknown): Sidecar[] {
  return parseJsonList(answer).map(readSidecar);
}

function readSidecar(fields: JsonFields): Sidecar {
  return {
    namespace: fields.text('namespace'),
    workload: fields.text('workload'),
    pod: fields.text('pod'),
    version: fields.text('version'),
    connectedSinceMs: fields.time('connectedSince'),
    snapshot: fields.number('ackedVersion'),
    snapshotSinceMs: fields.time('ackedAt'),
    inSync: fields.flag('inSync'),
    refused: fields.text('refused'),
    replica: fields.text('replica'),
  };
}
