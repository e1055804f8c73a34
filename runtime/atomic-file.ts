// Files that are always whole: a crash at any moment leaves the old content or the new, never a part.
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface AtomicOptions {
  /** 0o600 for keys. */
  readonly mode: number;
  /** Fail with EEXIST, changing nothing, where the file exists already. */
  readonly exclusive?: boolean;
}

/** Writes beside the target, syncs, renames over it, syncs the folder. */
export async function writeFileAtomically(
  path: string,
  data: string | Uint8Array,
  options: AtomicOptions,
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', options.mode);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    // link refuses an existing target, which rename would silently replace.
    if (options.exclusive === true) await link(temporary, path);
    else await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(folder);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
