// The last snapshot on disk, so that a restart of the sidecar without control goes on with it.
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Snapshot } from '#api/snapshot.ts';
import { writeFileAtomically } from '#runtime/atomic-file.ts';
import type { Log } from '#runtime/log.ts';

import { parseSnapshot } from './shape.ts';

export interface SnapshotDiskOptions {
  /** Made when it is not there. */
  readonly folder: string;
  readonly namespace: string;
  readonly workload: string;
  readonly log: Log;
  /** Changes within it are written once; 1 s where it is left out. */
  readonly debounceMs?: number;
}

/** First line `selvage-snapshot 1 <SHA-256 of the rest, hex>`, then the snapshot as JSON. */
const magic = 'selvage-snapshot 1';

export class SnapshotDisk {
  readonly path: string;
  readonly #options: SnapshotDiskOptions;
  #latest: Snapshot | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SnapshotDiskOptions) {
    this.#options = options;
    this.path = join(options.folder, `${options.namespace}.${options.workload}.snapshot`);
  }

  /** The stored snapshot; null when there is none or none that can be believed (then with a warning). */
  async load(): Promise<Snapshot | null> {
    const { log, namespace, workload } = this.#options;
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        log.warn({ file: this.path, error }, 'the stored snapshot cannot be read; ignoring it');
      }
      return null;
    }
    try {
      const snapshot = parseStored(text);
      const { namespace: ns, name } = snapshot.workload;
      if (ns !== namespace || name !== workload) throw new Error(`it is the one of ${ns}/${name}`);
      return snapshot;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ file: this.path, reason }, 'the stored snapshot is damaged; ignoring it');
      return null;
    }
  }

  /** Stores the snapshot soon. Never throws: a full disk must not touch traffic. */
  save(snapshot: Snapshot): void {
    this.#latest = snapshot;
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => void this.flush(), this.#options.debounceMs ?? 1000);
    this.#timer.unref();
  }

  /** Stores at once what `save` was given last; resolves when it is on disk or has failed (logged). */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const snapshot = this.#latest;
    this.#latest = null;
    if (snapshot === null) return;
    try {
      await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
      const json = JSON.stringify(snapshot);
      await writeFileAtomically(this.path, `${magic} ${digest(json)}\n${json}`, { mode: 0o600 });
    } catch (error) {
      this.#options.log.warn(
        { file: this.path, error },
        'the snapshot could not be stored; a restart without control would begin with an older one',
      );
    }
  }
}

function parseStored(text: string): Snapshot {
  const end = text.indexOf('\n');
  const head = text.slice(0, Math.max(end, 0));
  const json = text.slice(end + 1);
  if (!head.startsWith(`${magic} `)) throw new Error('it does not begin as one');
  if (head.slice(magic.length + 1) !== digest(json)) throw new Error('its checksum is wrong');
  return parseSnapshot(json);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
