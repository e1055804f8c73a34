// Follows edits of the YAML while the mesh runs, and prints which verdicts they change.
import { type FSWatcher, watch } from 'node:fs';

import { loadModel, type MeshModel } from '../calls/model.ts';
import { formatProblem } from '../calls/problems.ts';
import { describeCall } from '../calls/render.ts';
import type { Io } from '../io.ts';
import { type Colour, paint } from '../table.ts';
import { untilEnforced } from './enforced.ts';
import { type VerdictChange, verdictChanges } from './verdict-changes.ts';

export interface EditsOptions {
  /** Absolute. */
  readonly folder: string;
  /** As the user wrote it; messages name files under it. */
  readonly shown: string;
  readonly model: MeshModel;
  readonly io: Io;
  readonly controlAdmin: string;
}

/** Editors write a file in several steps; this is how long they are given. */
const settleMs = 150;
/** A change of a policy that everything depends on may turn thousands of verdicts. */
const changesShown = 30;

export class Edits {
  readonly #options: EditsOptions;
  readonly #watcher: FSWatcher;
  #model: MeshModel;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(options: EditsOptions) {
    this.#options = options;
    this.#model = options.model;
    this.#watcher = watch(options.folder, { recursive: true }, () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#schedule(), settleMs);
    });
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#watcher.close();
  }

  #schedule(): void {
    this.#work = this.#work
      .then(() => this.#reload())
      .catch((error: unknown) => {
        this.#print(paint(`cannot read the edit: ${String(error)}`, 'red', this.#options.io.tty));
      });
  }

  async #reload(): Promise<void> {
    const { shown, io, controlAdmin } = this.#options;
    const next = await loadModel([shown], io.cwd);
    const errors = next.problems.filter((problem) => problem.severity === 'error');
    if (errors.length > 0) {
      // The mesh keeps what it has, so there is no new reading to compare with.
      for (const problem of errors) this.#print(paint(formatProblem(problem), 'red', io.tty));
      this.#print('nothing changed: the last good YAML stays in force');
      return;
    }
    const changes = await verdictChanges(this.#model, next);
    this.#model = next;
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

function countOf(changes: readonly VerdictChange[]): string {
  if (changes.length === 0) return 'no verdict changes';
  return `${changes.length} verdict${changes.length === 1 ? ' changes' : 's change'}:`;
}

function lineOf({ call, before, after, why }: VerdictChange, tty: boolean): string {
  const colour: Colour = after === 'allow' ? 'green' : 'red';
  const turn = paint(`${before} -> ${after}`, colour, tty);
  return `  ${turn}  ${describeCall(call, call.port)}  ${paint(why, 'dim', tty)}`;
}
