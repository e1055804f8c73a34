// The newest snapshot of every workload, numbered: a number changes only when the content does.
import type { Snapshot } from '#api/snapshot.ts';

import { diffSnapshots, isEmptyDelta } from './deltas.ts';
import { buildSnapshot, keepSnapshot } from './snapshot.ts';
import type { Asking, MeshView } from './view.ts';

interface Entry {
  readonly snapshot: Snapshot;
  /** The revision up to which it is known to be the newest. */
  revision: number;
}

export class Snapshots {
  readonly #entries = new Map<string, Entry>();
  #view: MeshView | null = null;
  #revision = 0;

  /** How many views there were; a snapshot's version is the revision that it changed in. */
  get revision(): number {
    return this.#revision;
  }

  get view(): MeshView | null {
    return this.#view;
  }

  replace(view: MeshView): void {
    this.#view = view;
    this.#revision += 1;
  }

  /** The newest snapshot of a sidecar. Null: no resource describes its workload; in a cluster, its pod. */
  for(asking: Asking): Snapshot | null {
    return this.#view === null ? null : this.of(this.#view.keyOf(asking));
  }

  /**
   * The newest snapshot of a workload, built when it is asked for. A workload that vanished keeps its last one.
   * @param workload a key of the view: `namespace/name`. Null: no resource ever described it.
   */
  of(workload: string): Snapshot | null {
    const entry = this.#entries.get(workload);
    if (entry?.revision === this.#revision) return entry.snapshot;
    const described = this.#view?.workload(workload);
    if (this.#view === null || described === undefined) return entry?.snapshot ?? null;
    const next = buildSnapshot(this.#view, described, this.#revision);
    if (entry !== undefined && isEmptyDelta(diffSnapshots(entry.snapshot, next))) {
      keepSnapshot(entry.snapshot, next);
      entry.revision = this.#revision;
      return entry.snapshot;
    }
    this.#entries.set(workload, { snapshot: next, revision: this.#revision });
    return next;
  }

  /** Forgets snapshots that nobody uses. @param used whether a sidecar of the workload is connected */
  prune(used: (workload: string) => boolean): void {
    for (const workload of this.#entries.keys()) {
      if (this.#view?.workload(workload) === undefined && !used(workload)) {
        this.#entries.delete(workload);
      }
    }
  }
}
