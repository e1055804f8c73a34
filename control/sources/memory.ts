// The last good text of every file, on disk: a file that is broken while control starts again loses nothing either.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomically } from '#runtime/atomic-file.ts';
import type { Log } from '#runtime/log.ts';

export class SourceMemory {
  readonly #folder: string;
  readonly #log: Log;
  #writing: Promise<void> = Promise.resolve();

  /** @param folder made when it is first needed; '' remembers nothing */
  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  /** The text that a file had when it was last without mistakes; null: not known. */
  async recall(file: string): Promise<string | null> {
    if (this.#folder === '') return null;
    try {
      return await readFile(this.#pathOf(file), 'utf8');
    } catch {
      return null;
    }
  }

  /** Stores the text, or with null forgets the file. Never throws. */
  remember(file: string, text: string | null): void {
    if (this.#folder === '') return;
    this.#writing = this.#writing.then(() => this.#write(file, text));
  }

  /** Forgets every other file: one that went while control was not there must not come back by a mistake. */
  keepOnly(files: Iterable<string>): void {
    if (this.#folder === '') return;
    const kept = new Set([...files].map((file) => this.#pathOf(file)));
    this.#writing = this.#writing.then(() => this.#forgetOthers(kept));
  }

  /** Resolves when all is stored. */
  flush(): Promise<void> {
    return this.#writing;
  }

  async #write(file: string, text: string | null): Promise<void> {
    const path = this.#pathOf(file);
    try {
      if (text === null) {
        await rm(path, { force: true });
        return;
      }
      // At each start all files are seen anew; most are what they were.
      if ((await this.recall(file)) === text) return;
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFileAtomically(path, text, { mode: 0o600 });
    } catch (error) {
      this.#log.warn({ file, error }, 'the good text of a file could not be stored');
    }
  }

  async #forgetOthers(kept: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    const others = names.map((name) => join(this.#folder, name)).filter((path) => !kept.has(path));
    for (const path of others) await rm(path, { force: true }).catch(() => undefined);
  }

  #pathOf(file: string): string {
    return join(this.#folder, `${createHash('sha256').update(file).digest('hex')}.yaml`);
  }
}
