// The CA's state on disk: one file, always whole, so that a crash at any moment leaves one consistent set of roots.
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '#runtime/atomic-file.ts';
import { bundleOf, type Records } from '../rotation.ts';
import { formatState, parseState } from './state.ts';
import { DamagedState, StoreConflict, type RootStore, type Stored } from './store.ts';

const stateName = 'issuers.json';
const bundleName = 'trust-bundle.pem';
/** A younger file may belong to a process that writes right now. */
const leftoverAgeMs = 60_000;

/** One process changes a folder; a second may only start on it. */
export class FolderStore implements RootStore {
  readonly place: string;
  readonly followMs = 0;
  readonly #folder: string;

  constructor(folder: string) {
    this.place = folder;
    this.#folder = folder;
  }

  async read(): Promise<Stored | null> {
    await removeLeftovers(this.#folder);
    const path = join(this.#folder, stateName);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new DamagedState(`${path} holds keys and others may read it: chmod 600 ${path}`);
    }
    return { records: parseState(text, path), version: '' };
  }

  async create(records: Records): Promise<Stored> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      await this.#write(records, true);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new StoreConflict(`${this.place} has a state by now`);
    }
    return { records, version: '' };
  }

  async replace(records: Records): Promise<Stored> {
    await this.#write(records, false);
    return { records, version: '' };
  }

  /** The roots for processes on the same machine, as the very first thing they need to know. */
  async tell(records: Records): Promise<void> {
    const path = join(this.#folder, bundleName);
    await writeFileAtomically(path, bundleOf(records), { mode: 0o644 });
  }

  async #write(records: Records, exclusive: boolean): Promise<void> {
    const path = join(this.#folder, stateName);
    await writeFileAtomically(path, formatState(records), { mode: 0o600, exclusive });
  }
}

/** Removes what a crash in the midst of writing left behind; it may hold a key. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(`.${stateName}.`) && !name.startsWith(`.${bundleName}.`)) continue;
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > leftoverAgeMs) await rm(path, { force: true });
  }
}
