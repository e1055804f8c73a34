// The resources of a folder as they are in force while people edit it: of what is broken, the last good form.
import { setTimeout as sleep } from 'node:timers/promises';

import { loadText, type Loaded, type TextFile } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import { keepLastGood } from '#control/sources/last-good.ts';

import { CallError } from '../calls/failure.ts';
import { type MeshModel, modelOf } from '../calls/model.ts';
import { readPaths } from '../paths.ts';

export interface ModelChange {
  readonly before: MeshModel;
  readonly after: MeshModel;
  /** What is wrong with the files that were edited, and what stays in force in its stead. */
  readonly problems: readonly Problem[];
  /** False: whatever was edited, the same resources are in force. */
  readonly isOther: boolean;
}

/** As long as control waits before it believes that a file is gone. */
const confirmMs = 250;

interface Known {
  readonly text: string;
  readonly inForce: Loaded;
}

/** Reads as control does, so that what a person is told is what sidecars enforce. */
export class LiveModel {
  readonly #path: string;
  readonly #cwd: string;
  #files: ReadonlyMap<string, Known> = new Map();
  #model: MeshModel;

  private constructor(path: string, cwd: string) {
    this.#path = path;
    this.#cwd = cwd;
    this.#model = modelOf([], []);
  }

  /** @param path a folder or a file, as the user wrote it. @throws CallError when it cannot be read or holds nothing */
  static async read(path: string, cwd: string): Promise<LiveModel> {
    const live = new LiveModel(path, cwd);
    const { files, problems } = await readPaths([path], cwd);
    if (problems.length > 0) {
      throw new CallError(problems.map(({ file, message }) => `${file}: ${message}`).join('\n'));
    }
    live.#take(files);
    const loaded = [...live.#files.values()].map(({ inForce }) => inForce);
    if (loaded.every((one) => one.resources.length + one.problems.length === 0)) {
      throw new CallError(`no resources in ${path}`);
    }
    return live;
  }

  get model(): MeshModel {
    return this.#model;
  }

  /** Looks again. Null: nothing was edited, or it cannot be read, and stays as it is. */
  async update(): Promise<ModelChange | null> {
    let read = await readPaths([this.#path], this.#cwd);
    if (this.#isLosing(read.files)) {
      await sleep(confirmMs);
      read = await readPaths([this.#path], this.#cwd);
    }
    const { files, problems: unreadable } = read;
    // A folder on its way to another name; control keeps what it has as well.
    if (unreadable.length > 0) return null;
    const before = this.#model;
    const was = this.#files;
    if (files.length === was.size && files.every(({ file, text }) => was.get(file)?.text === text))
      return null;
    this.#take(files);
    const edited = files.filter(({ file, text }) => was.get(file)?.text !== text);
    const problems = edited.flatMap(({ file }) => this.#files.get(file)?.inForce.problems ?? []);
    const after = this.#model;
    const isOther = shapeOf(was) !== shapeOf(this.#files);
    return {
      before,
      after,
      problems: problems.filter(({ severity, code }) => severity === 'error' || code === kept),
      isOther,
    };
  }

  /** A file that had something in it is gone or empty: so it looks for a moment when an editor saves it. */
  #isLosing(files: readonly TextFile[]): boolean {
    const texts = new Map(files.map(({ file, text }) => [file, text.trim()]));
    return [...this.#files].some(([file, { text }]) => text.trim() !== '' && !texts.get(file));
  }

  #take(files: readonly TextFile[]): void {
    this.#files = new Map(
      files.map(({ file, text }) => {
        const was = this.#files.get(file);
        if (was?.text === text) return [file, was];
        const inForce = keepLastGood(file, was?.inForce.resources ?? null, loadText(text, file));
        return [file, { text, inForce }];
      }),
    );
    const loaded = [...this.#files.values()].map(({ inForce }) => inForce);
    this.#model = modelOf(
      loaded.flatMap(({ resources }) => resources),
      loaded.flatMap(({ problems }) => problems),
    );
  }
}

/** The code of a problem that says what stays. */
const kept = 'last-good-kept';

/** Equal when the same resources are in force, whatever the lines they are on. */
function shapeOf(files: ReadonlyMap<string, Known>): string {
  const resources = [...files.values()].flatMap(({ inForce }) => inForce.resources);
  return JSON.stringify(resources.map(({ origin: _origin, ...rest }) => rest));
}
