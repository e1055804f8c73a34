// Lists the YAML files below a folder, each with a stamp that changes when its content does.
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isResourceFile } from '#api/resource-file.ts';

export interface Listing {
  /** Stamp by path, in the order of paths. */
  readonly files: ReadonlyMap<string, FileStamp>;
  /** Folders that could not be listed: nothing is known of what is below them. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** There are more files than are read. */
  readonly cut: boolean;
}

export interface FileStamp {
  /** Device, inode, size and times: a file replaced by another differs, also with the same size and second. */
  readonly stamp: string;
  readonly bytes: number;
}

/** Lists files in all folders; a path to a file stands for itself. Never rejects. @param filesMax further ones are left out */
export async function listYamlFiles(
  folders: readonly string[],
  filesMax: number,
): Promise<Listing> {
  const files = new Map<string, FileStamp>();
  const unreadable = new Map<string, string>();
  for (const folder of folders) {
    const file = await stampOf(folder);
    if (file === null) await listFolder(folder, 0, { files, unreadable, filesMax });
    else files.set(folder, file);
  }
  return { files, unreadable, cut: files.size >= filesMax };
}

interface Found {
  readonly files: Map<string, FileStamp>;
  readonly unreadable: Map<string, string>;
  readonly filesMax: number;
}

const depthMax = 20;

async function listFolder(folder: string, depth: number, found: Found): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => error);
  if (entries instanceof Error) {
    found.unreadable.set(folder, entries.message);
    return;
  }
  // Hidden: editors' swap files, .git, and the folders behind a mounted ConfigMap's links.
  const visible = entries
    .filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
    .toSorted((a, b) => compare(a.name, b.name));
  const stamps = await Promise.all(
    visible.map(async (entry) => (isCandidate(entry) ? stampOf(join(folder, entry.name)) : null)),
  );
  for (const [index, entry] of visible.entries()) {
    if (found.files.size >= found.filesMax) return;
    const path = join(folder, entry.name);
    const stamp = stamps[index] ?? null;
    if (stamp !== null) found.files.set(path, stamp);
    else if (entry.isDirectory() && depth < depthMax) await listFolder(path, depth + 1, found);
  }
}

function isCandidate(entry: Dirent): boolean {
  return !entry.isDirectory() && isResourceFile(entry.name);
}

/** Null when there is no regular file behind the path (any more). */
export async function stampOf(path: string): Promise<FileStamp | null> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, ...stats } = await stat(path, { bigint: true });
    if ((stats.mode & 0o170000n) !== 0o100000n) return null;
    return { stamp: [dev, ino, size, mtimeNs, ctimeNs].join(' '), bytes: Number(size) };
  } catch {
    return null;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
