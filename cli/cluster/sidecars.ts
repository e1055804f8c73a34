// The sidecars of a cluster as the control plane's replicas see them, each once.
import { parseJsonList, type JsonFields } from './json-fields.ts';
import type { ReplicaAnswer } from './control.ts';

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
  readonly certificateEndsMs: number | null;
}

/** A sidecar that changed its replica may be in two lists for a moment: the younger connection counts. */
export function sidecarsOf(answers: readonly ReplicaAnswer[]): Sidecar[] {
  const found = new Map<string, Sidecar>();
  for (const { pod, answer } of answers) {
    for (const fields of parseJsonList(answer)) {
      const sidecar = readSidecar(fields, pod);
      const key = `${sidecar.namespace}/${sidecar.pod}`;
      const other = found.get(key);
      const younger = (sidecar.connectedSinceMs ?? 0) >= (other?.connectedSinceMs ?? 0);
      if (other === undefined || younger) found.set(key, sidecar);
    }
  }
  return [...found.values()];
}

function readSidecar(fields: JsonFields, replica: string): Sidecar {
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
    replica: fields.text('replica') || replica,
    certificateEndsMs: fields.time('certificateEnds'),
  };
}
