// The CA's state on disk: one file, always whole, so that a crash at any moment leaves one consistent set of roots.
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '#runtime/atomic-file.ts';
import { bundleOf, type IssuerRecord, type Records } from './rotation.ts';

const stateName = 'issuers.json';
const bundleName = 'trust-bundle.pem';

/** The issuers of a folder; null when it has none yet. Rejects when they cannot be read whole. */
export async function readState(folder: string): Promise<Records | null> {
  const path = join(folder, stateName);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new Error(`${path} holds keys and others may read it: chmod 600 ${path}`);
  }
  return parseState(text, path);
}

/** The first state of a folder. Rejects with EEXIST when another process was faster. */
export async function createState(folder: string, records: Records): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await write(folder, records, true);
}

export async function writeState(folder: string, records: Records): Promise<void> {
  await write(folder, records, false);
}

/** The roots for processes on the same machine, as the very first thing they need to know. */
export async function writeBundle(folder: string, records: Records): Promise<void> {
  await writeFileAtomically(join(folder, bundleName), bundleOf(records), { mode: 0o644 });
}

/** Removes what a crash in the midst of writing left behind; it may hold a key. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(`.${stateName}.`) && !name.startsWith(`.${bundleName}.`)) continue;
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    // A younger one may belong to a process that writes right now.
    if (age > leftoverAgeMs) await rm(path, { force: true });
  }
}

const leftoverAgeMs = 60_000;

async function write(folder: string, records: Records, exclusive: boolean): Promise<void> {
  const text = `${JSON.stringify({ version: 1, issuers: records }, null, 2)}\n`;
  await writeFileAtomically(join(folder, stateName), text, { mode: 0o600, exclusive });
}

function parseState(text: string, path: string): Records {
  const damaged = `${path} is damaged: restore it from a backup. Without it every workload loses trust`;
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (error) {
    throw new Error(damaged, { cause: error });
  }
  const { version, issuers } = state as { version?: unknown; issuers?: unknown };
  if (version !== 1) throw new Error(`${path} has version ${String(version)}, 1 is known`);
  if (!Array.isArray(issuers) || !issuers.every((issuer) => isRecord(issuer))) {
    throw new Error(damaged);
  }
  return issuers;
}

const texts = ['id', 'origin', 'certificatePem', 'intermediatesPem', 'rootPem'] as const;
const moreTexts = ['keyPem', 'crossPem'] as const;
const times = [
  'publishedAtMs',
  'signingAtMs',
  'rootNotAfterMs',
  'leafLifeMs',
  'leavesEndMs',
] as const;

function isRecord(value: unknown): value is IssuerRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    ['published', 'signing', 'retired'].includes(String(record['role'])) &&
    [...texts, ...moreTexts].every((name) => typeof record[name] === 'string') &&
    times.every((name) => typeof record[name] === 'number')
  );
}
