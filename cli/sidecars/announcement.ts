// What a mesh of this machine says of itself while it runs, in a file that only its user can read or write.
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';

import { CallError } from '../calls/failure.ts';
import { JsonFields, parseJsonList } from '../cluster/json-fields.ts';

export interface Announcement {
  /** Of the process that `selvage up` is. */
  readonly pid: number;
  /** Ms since 1970. */
  readonly startedAtMs: number;
  /** Absolute. */
  readonly folder: string;
  /** The folder as its user wrote it. */
  readonly shown: string;
  /** Ports on loopback. */
  readonly controlAdmin: number;
  readonly caAdmin: number;
  readonly sidecars: readonly AnnouncedSidecar[];
}

export interface AnnouncedSidecar {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** Port of its admin endpoint. */
  readonly admin: number;
}

/** One mesh's file: `write` it whenever something changes, `remove` it at the end. */
export class AnnouncementFile {
  readonly path: string;
  readonly #folder: string;

  /** @param name that no other mesh has, as it begins with a port of its own */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.path = join(folder, `${name}.json`);
  }

  /** Whole or not at all. @throws Error when the folder is somebody else's */
  async write(announcement: Announcement): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await checkOwner(this.#folder);
    const draft = `${this.path}.${process.pid}.new`;
    await writeFile(draft, `${JSON.stringify(announcement, null, 2)}\n`, { mode: 0o600 });
    await rename(draft, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** Where the meshes of this user are told of: `$XDG_RUNTIME_DIR/selvage`, else a folder in the temporary one. */
export function announcementFolder(env: Readonly<Record<string, string | undefined>>): string {
  const runtime = env['XDG_RUNTIME_DIR'] ?? '';
  return runtime === ''
    ? join(tmpdir(), `selvage-${ownUser() ?? 'user'}`)
    : join(runtime, 'selvage');
}

/**
 * Of the meshes that run, oldest first; what killed ones have left behind is removed.
 * @throws CallError when somebody else could write there
 */
export async function readAnnouncements(folder: string): Promise<Announcement[]> {
  const names = await namesIn(folder);
  if (names.length === 0) return [];
  await checkOwner(folder);
  const found: Announcement[] = [];
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const path = join(folder, name);
    const announcement = await readAnnouncement(path);
    if (announcement === null) continue;
    if (isRunning(announcement)) found.push(announcement);
    else await rm(path, { force: true });
  }
  return found.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
}

/** Null: it is gone, or no announcement that this version can read. */
async function readAnnouncement(path: string): Promise<Announcement | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null;
  }
  return announcementOf(value);
}

/** @param value what a file holds, of whatever version */
export function announcementOf(value: unknown): Announcement | null {
  const fields = new JsonFields(value);
  const pid = fields.number('pid');
  const controlAdmin = fields.number('controlAdmin');
  if (pid === null || pid <= 0 || controlAdmin === null) return null;
  const { sidecars } = value as Readonly<Record<string, unknown>>;
  return {
    pid,
    startedAtMs: fields.number('startedAtMs') ?? 0,
    folder: fields.text('folder'),
    shown: fields.text('shown'),
    controlAdmin,
    caAdmin: fields.number('caAdmin') ?? 0,
    sidecars: parseJsonList(sidecars).map((one) => ({
      namespace: one.text('namespace'),
      workload: one.text('workload'),
      pod: one.text('pod'),
      admin: one.number('admin') ?? 0,
    })),
  };
}

/** A number of a process may be another's after the machine was started anew. */
function isRunning({ pid, startedAtMs }: Announcement): boolean {
  if (startedAtMs < Date.now() - uptime() * 1000 - 60_000) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another user, which is none of ours.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH' && ownUser() === undefined;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new CallError(`the meshes of this machine cannot be read in ${folder} (${code})`, {
      cause: error,
    });
  }
}

/** In a folder for everybody another user may have made it first, to have our commands ask what they like. */
async function checkOwner(folder: string): Promise<void> {
  const user = ownUser();
  if (user === undefined) return;
  const info = await lstat(folder);
  if (info.isDirectory() && info.uid === user && (info.mode & 0o022) === 0) return;
  throw new CallError(
    `${folder} is not yours alone, so nothing in it is believed: remove it, or set XDG_RUNTIME_DIR to a folder of your own`,
  );
}

/** Undefined where a system has no such numbers. */
function ownUser(): number | undefined {
  return process.getuid?.();
}
