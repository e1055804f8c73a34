// Resources from folders of YAML, watched: edits take effect within moments, mistakes change nothing.
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { loadText, type AnyResource, type Loaded } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import { mayHoldResources } from '#api/resource-file.ts';
import type { Log } from '#runtime/log.ts';

import { Debounce } from './debounce.ts';
import { areUnchanged, withFilterSources, type WithSources } from './filter-files.ts';
import { keepLastGood } from './last-good.ts';
import { SourceMemory } from './memory.ts';
import type { ResourceSource } from './source.ts';
import { listYamlFiles, stampOf, type FileStamp, type Listing } from './scan.ts';

export interface FolderSourceOptions {
  /** In this order: resources of an earlier folder count as older. */
  readonly folders: readonly string[];
  /** @param noticedAtMs Date.now() of the first sign of the change */
  readonly onChange: (noticedAtMs: number) => void;
  readonly log: Log;
  /** Where good texts are kept over a restart; '' or left out: nowhere. */
  readonly memoryFolder?: string;
  readonly limits?: Partial<FolderLimits>;
}

export interface FolderLimits {
  readonly quietMs: number;
  readonly waitMaxMs: number;
  /** The safety net under fs.watch, which network file systems and full inotify tables make deaf. */
  readonly rescanMs: number;
  /** A file that vanishes or becomes empty must stay so: editors and copies pass through that state. */
  readonly vanishMs: number;
  readonly filesMax: number;
  readonly fileBytesMax: number;
}

export const folderLimits: FolderLimits = {
  quietMs: 100,
  waitMaxMs: 1000,
  rescanMs: 5000,
  vanishMs: 250,
  filesMax: 10_000,
  fileBytesMax: 16 * 1024 * 1024,
};

/** One file, with what of it is in force. */
interface Known extends WithSources {
  readonly stamp: string;
}

interface FileContent {
  readonly text: string;
  readonly loaded: Loaded;
}

export class FolderSource implements ResourceSource {
  readonly #options: FolderSourceOptions;
  readonly #limits: FolderLimits;
  readonly #debounce: Debounce;
  readonly #memory: SourceMemory;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #vanishing = new Map<string, number>();
  #known = new Map<string, Known>();
  #folderProblems: readonly Problem[] = [];
  #timer: NodeJS.Timeout | null = null;
  #scanning: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: FolderSourceOptions) {
    // As `join` writes the paths below them.
    const folders = options.folders.map((folder) => join(folder, '.'));
    this.#options = { ...options, folders };
    this.#limits = { ...folderLimits, ...options.limits };
    this.#memory = new SourceMemory(options.memoryFolder ?? '', options.log);
    this.#debounce = new Debounce({
      quietMs: this.#limits.quietMs,
      waitMaxMs: this.#limits.waitMaxMs,
      call: (firstAtMs) => void this.#look(firstAtMs),
    });
  }

  /** Resolves when all files were read once. `onChange` is not called for these. */
  async start(): Promise<void> {
    this.#watch();
    await this.#scan(false);
    if (this.#stopped) return;
    if (this.#folderProblems.length === 0) this.#memory.keepOnly(this.#known.keys());
    this.#timer = setInterval(() => {
      this.#watch();
      void this.#look(Date.now());
    }, this.#limits.rescanMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#debounce.stop();
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Resolves when what is to outlive a restart is on disk. */
  flush(): Promise<void> {
    return this.#memory.flush();
  }

  /** All that is in force, in the order of folders, paths and documents. */
  resources(): readonly AnyResource[] {
    return [...this.#known.values()].flatMap(({ resources }) => resources);
  }

  /** What is wrong with the folders and with what is written in them. */
  problems(): readonly Problem[] {
    const ofFiles = [...this.#known.values()].flatMap(({ problems }) => problems);
    return [...this.#folderProblems, ...ofFiles];
  }

  /** One look at a time; a look that was asked for meanwhile comes after. */
  #look(noticedAtMs: number): Promise<void> {
    this.#scanning = this.#lookAfter(this.#scanning, noticedAtMs);
    return this.#scanning;
  }

  async #lookAfter(previous: Promise<void>, noticedAtMs: number): Promise<void> {
    await previous;
    if (!this.#stopped && (await this.#scan(true))) this.#options.onChange(noticedAtMs);
  }

  /** True: something is different now. */
  async #scan(later: boolean): Promise<boolean> {
    const { folders } = this.#options;
    const listing = await listYamlFiles(folders, this.#limits.filesMax);
    const next = new Map<string, Known>();
    let changed = false;
    // Old paths too, in the same order: one that is gone may have to stay for now.
    const paths = orderOf(folders, [...listing.files.keys(), ...this.#known.keys()]);
    for (const path of paths) {
      const before = this.#known.get(path);
      const after = await this.#file(path, before, listing, later);
      if (after !== null) next.set(path, after);
      if (after !== (before ?? null)) changed = true;
    }
    const problems = folderProblems(listing, this.#limits.filesMax);
    if (JSON.stringify(problems) !== JSON.stringify(this.#folderProblems)) changed = true;
    this.#known = next;
    this.#folderProblems = problems;
    return changed;
  }

  /** What of a path is in force now; null: nothing. The same object when nothing changed. */
  async #file(
    path: string,
    before: Known | undefined,
    listing: Listing,
    later: boolean,
  ): Promise<Known | null> {
    const found = listing.files.get(path);
    if (found === undefined) {
      const hidden = [...listing.unreadable.keys()].some(
        (folder) => path === folder || isBelow(path, folder),
      );
      if (before !== undefined && (hidden || !this.#hasVanished(path))) return before;
      this.#vanishing.delete(path);
      this.#memory.remember(path, null);
      return null;
    }
    if (before?.stamp === found.stamp && (await areUnchanged(before.sources))) {
      this.#vanishing.delete(path);
      return before;
    }
    const read = await this.#read(path, found);
    // Written to while it was read: what was read is no state of the file.
    if (read === null) {
      if (later) this.#debounce.poke();
      else setTimeout(() => this.#debounce.poke(), this.#limits.quietMs).unref();
      return before ?? null;
    }
    const { loaded, text } = read;
    const emptied = loaded.resources.length + loaded.problems.length === 0;
    if (emptied && before !== undefined && before.resources.length > 0) {
      if (!this.#hasVanished(path)) return before;
    }
    this.#vanishing.delete(path);
    const good = loaded.problems.every(({ severity }) => severity !== 'error');
    if (good) this.#memory.remember(path, text);
    const last = good ? null : (before?.resources ?? (await this.#recall(path)));
    const kept = keepLastGood(path, last, loaded);
    return { stamp: found.stamp, ...(await withFilterSources(kept)) };
  }

  async #recall(path: string): Promise<readonly AnyResource[] | null> {
    const text = await this.#memory.recall(path);
    return text === null ? null : loadText(text, path).resources;
  }

  async #read(path: string, found: FileStamp): Promise<FileContent | null> {
    if (found.bytes > this.#limits.fileBytesMax) {
      const message = `the file has ${found.bytes} bytes; at most ${this.#limits.fileBytesMax} are read`;
      return refusal(path, 'file-too-large', message);
    }
    try {
      const text = await readFile(path, 'utf8');
      if ((await stampOf(path))?.stamp !== found.stamp) return null;
      if (!mayHoldResources(path, text)) return { text: '', loaded: nothing };
      return { text, loaded: loadText(text, path) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      const reason = error instanceof Error ? error.message : String(error);
      return refusal(path, 'file-unreadable', `the file cannot be read: ${reason}`);
    }
  }

  #hasVanished(path: string): boolean {
    const now = Date.now();
    const sinceMs = this.#vanishing.get(path) ?? now;
    if (now - sinceMs >= this.#limits.vanishMs) return true;
    this.#vanishing.set(path, sinceMs);
    const leftMs = sinceMs + this.#limits.vanishMs - now;
    setTimeout(() => void this.#look(sinceMs), leftMs + 1).unref();
    return false;
  }

  /** Begins to watch the folders that are there and not watched yet. */
  #watch(): void {
    for (const folder of this.#options.folders) {
      if (this.#watchers.has(folder) || this.#stopped) continue;
      try {
        const watcher = watch(folder, { recursive: true, persistent: false });
        this.#watchers.set(folder, watcher);
        watcher.on('change', () => this.#debounce.poke());
        watcher.on('error', (error) => this.#unwatch(folder, watcher, error));
      } catch (error) {
        this.#options.log.debug(
          { folder, error },
          'folder cannot be watched; looking now and then',
        );
      }
    }
  }

  #unwatch(folder: string, watcher: FSWatcher, error: unknown): void {
    this.#options.log.warn({ folder, error }, 'watching a folder failed; beginning again');
    watcher.close();
    this.#watchers.delete(folder);
    this.#debounce.poke();
  }
}

const nothing: Loaded = { resources: [], problems: [] };

function refusal(file: string, code: string, message: string): FileContent {
  const problem = { severity: 'error', code, message, file, line: 1 } as const;
  return { text: '', loaded: { resources: [], problems: [problem] } };
}

function folderProblems(listing: Listing, filesMax: number): Problem[] {
  const problems = [...listing.unreadable].map(([folder, reason]): Problem => ({
    severity: 'error',
    code: 'folder-unreadable',
    message: `the folder cannot be read: ${reason}; what was read from it before stays in force`,
    file: folder,
  }));
  if (listing.cut) {
    const message = `there are more than ${filesMax} files; the others are not read`;
    problems.push({ severity: 'error', code: 'files-too-many', message });
  }
  return problems;
}

/** Paths once each: by folder in the given order, then by segments, as the listing has them. */
function orderOf(folders: readonly string[], paths: readonly string[]): string[] {
  const rank = (path: string): number =>
    folders.findIndex((folder) => path === folder || isBelow(path, folder));
  const keyed = [...new Set(paths)].map((path) => ({ path, rank: rank(path) }));
  return keyed
    .toSorted((a, b) => a.rank - b.rank || compareSegments(a.path, b.path))
    .map(({ path }) => path);
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function compareSegments(a: string, b: string): number {
  const left = a.split(sep);
  const right = b.split(sep);
  for (const [index, segment] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (segment !== other) return segment < other ? -1 : 1;
  }
  return left.length - right.length;
}
