// The files of YAML that a command is given: files as they are, folders with all that lies in them,
// `-` for stdin.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';

import type { TextFile } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import { isResourceFile, mayHoldResources } from '#api/resource-file.ts';

export interface ReadPaths {
  /** Each once, in the order of the arguments; within a folder by name. */
  readonly files: TextFile[];
  /** What could not be read. */
  readonly problems: Problem[];
}

/**
 * Reads them all. A file is named in messages as the user would write it.
 * @param stdin where `-` is read from
 */
export async function readPaths(
  paths: readonly string[],
  cwd: string,
  stdin: AsyncIterable<Buffer> = process.stdin,
): Promise<ReadPaths> {
  const files = new Map<string, TextFile>();
  const problems: Problem[] = [];
  for (const path of paths) {
    try {
      if (path === '-') files.set(path, { file: 'stdin', text: await text(stdin) });
      else await readPath(path, cwd, files, problems);
    } catch (error) {
      problems.push(unreadable(path, error));
    }
  }
  return { files: [...files.values()], problems };
}

async function readPath(
  path: string,
  cwd: string,
  files: Map<string, TextFile>,
  problems: Problem[],
): Promise<void> {
  const whole = resolve(cwd, path);
  const stats = await stat(whole);
  if (!stats.isDirectory()) {
    if (!files.has(whole)) files.set(whole, { file: path, text: await readFile(whole, 'utf8') });
    return;
  }
  const entries = await readdir(whole, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    if (!entry.isDirectory() && !isResourceFile(entry.name)) continue;
    const inner = join(path, entry.name);
    try {
      // Links to folders are not followed: they may lead back up.
      if (entry.isSymbolicLink() && (await stat(join(whole, entry.name))).isDirectory()) continue;
      await readPath(inner, cwd, files, problems);
      const read = files.get(join(whole, entry.name));
      if (read !== undefined && !mayHoldResources(entry.name, read.text)) {
        files.delete(join(whole, entry.name));
      }
    } catch (error) {
      problems.push(unreadable(inner, error));
    }
  }
}

function unreadable(path: string, error: unknown): Problem {
  const code = (error as NodeJS.ErrnoException).code;
  const why = code === 'ENOENT' ? 'there is no such file or folder' : `cannot be read (${code})`;
  return { severity: 'error', code: 'file-unreadable', message: why, file: path };
}
