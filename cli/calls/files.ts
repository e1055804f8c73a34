// The YAML files that a user names: files as they are, folders with all that lies in them.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { CallError } from './failure.ts';

export interface TextFile {
  /** As the user would write it. */
  readonly file: string;
  readonly text: string;
}

/**
 * Reads files, and of folders every `.yaml`, `.yml` and `.json` below them, in the order of their names.
 * @throws CallError for a path that is not there or cannot be read
 */
export function readTextFiles(paths: readonly string[], cwd: string): TextFile[] {
  return paths.flatMap((path) => listFiles(path, cwd)).map((file) => readText(file, cwd));
}

const isResourceFile = /\.(?:ya?ml|json)$/;

function listFiles(path: string, cwd: string): string[] {
  const stats = statSync(resolve(cwd, path), { throwIfNoEntry: false });
  if (stats === undefined) throw new CallError(`${path}: there is no such file or folder`);
  if (!stats.isDirectory()) return [path];
  const found: string[] = [];
  for (const entry of readdirSync(resolve(cwd, path), { withFileTypes: true }).toSorted(byName)) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    const inner = join(path, entry.name);
    if (entry.isDirectory()) found.push(...listFiles(inner, cwd));
    else if (isResourceFile.test(entry.name)) found.push(inner);
  }
  return found;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function readText(file: string, cwd: string): TextFile {
  try {
    return { file, text: readFileSync(resolve(cwd, file), 'utf8') };
  } catch (error) {
    throw new CallError(`${file}: cannot be read: ${String(error)}`, { cause: error });
  }
}
