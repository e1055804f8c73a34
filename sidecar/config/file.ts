// A snapshot from a file (SELVAGE_SNAPSHOT_FILE) in place of control: for benchmarks and replays.
import { readFile } from 'node:fs/promises';

import type { Snapshot } from '#api/snapshot.ts';

import { parseSnapshot } from './shape.ts';

/** Reads the snapshot; rejects with an error that names the file. @param path JSON, the shape of `Snapshot` */
export async function readSnapshotFile(path: string): Promise<Snapshot> {
  try {
    return parseSnapshot(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`snapshot file ${path}: ${reason}`, { cause: error });
  }
}
