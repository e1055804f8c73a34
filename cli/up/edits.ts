// Follows edits of the YAML while the mesh runs: programs follow them, and it is told which verdicts they change.
import { type FSWatcher, watch } from 'node:fs';
import { extname } from 'node:path';

import { isResourceFile } from '#api/resource-file.ts';
import { Debounce } from '#control/sources/debounce.ts';

import type { MeshModel } from '../calls/model.ts';
import { placeAndMessage } from '../calls/problems.ts';
import { describeCall } from '../calls/render.ts';
import type { Io } from '../io.ts';
import { type Colour, paint } from '../table.ts';
import { untilEnforced } from './enforced.ts';
import type { LiveModel, ModelChange } from './live-model.ts';
import { type VerdictChange, verdictChanges } from './verdict-changes.ts';

export interface EditsOptions {
  /** Absolute. */
  readonly folder: string;
  readonly live: LiveModel;
  readonly io: Io;
  readonly controlAdmin: string;
  /** Makes the mesh run what the model says. @return what was done, a line each */
  apply(model: MeshModel): Promise<string[]>;
}

/** Editors write a file in several steps; this is how long they are given. */
const settleMs = 150;
const settleMaxMs = 1000;
/** The safety net under fs.watch, as control has one. */
const rescanMs = 5000;
/** A change of a policy that everything depends on may turn thousands of verdicts. */
const changesShown = 30;

export class Edits {
  readonly #options: EditsOptions;
  readonly #watcher: FSWatcher | null;
  readonly #debounce: Debounce;
  readonly #timer: NodeJS.Timeout;
  #work: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: EditsOptions) {
    this.#options = options;
    this.#debounce = new Debounce({
      quietMs: settleMs,
      waitMaxMs: settleMaxMs,
      call: () => this.#schedule(),
    });
    this.#watcher = watched(options.folder, () => this.#debounce.poke());
    this.#timer = setInterval(() => this.#schedule(), rescanMs);
    // What was edited while the mesh started.
    this.#schedule();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#debounce.stop();
    this.#watcher?.close();
    await this.#work;
  }

  #schedule(): void {
    this.#work = this.#work
      .then(() => this.#reload())
      .catch((error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#print(paint(`the edit cannot be followed: ${text}`, 'red', this.#options.io.tty));
      });
  }

  async #reload(): Promise<void> {
    if (this.#stopped) return;
    const change = await this.#options.live.update();
    if (change === null) return;
    const { io } = this.#options;
    for (const problem of change.problems) {
      const colour = problem.severity === 'error' ? 'red' : 'yellow';
      this.#print(paint(placeAndMessage(problem), colour, io.tty));
    }
    if (change.isOther) await this.#follow(change);
    else if (change.problems.length > 0) {
      this.#print('nothing changed: the last good YAML stays in force');
    }
  }

  async #follow({ before, after }: ModelChange): Promise<void> {
    const { io, controlAdmin } = this.#options;
    for (const line of await this.#options.apply(after)) this.#print(line);
    // That a workload is gone was told; that nobody can call it goes without saying.
    const changes = (await verdictChanges(before, after)).filter((one) => one.after !== 'absent');
    const enforced = await untilEnforced(controlAdmin);
    this.#print(`${enforced}; ${countOf(changes)}`);
    for (const change of changes.slice(0, changesShown)) this.#print(lineOf(change, io.tty));
    const more = changes.length - changesShown;
    if (more > 0) this.#print(`  and ${more} more`);
  }

  #print(text: string): void {
    this.#options.io.stdout.write(`${text}\n`);
  }
}

/** Null where watching is not possible; then the rescan has to do. */
function watched(folder: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { recursive: true, persistent: false });
    watcher.on('change', (_type, name) => {
      // Programs write logs and data beside the YAML; names without a dot are folders.
      const file = String(name ?? '');
      if (extname(file) === '' || isResourceFile(file)) onChange();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

function countOf(changes: readonly VerdictChange[]): string {
  if (changes.length === 0) return 'no verdict changes';
  return `${changes.length} verdict${changes.length === 1 ? ' changes' : 's change'}:`;
}

function lineOf({ call, before, after, why }: VerdictChange, tty: boolean): string {
  const colour: Colour = after === 'allow' ? 'green' : 'red';
  const turn = paint(`${before} -> ${after}`, colour, tty);
  return `  ${turn}  ${describeCall(call, call.port)}  ${paint(why, 'dim', tty)}`;
}
