// Runs the steps of a page in a folder of its own: its files are written, its commands run one after the other.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { type Command, matches, type Step } from './page.ts';

const root = join(import.meta.dirname, '../..');
const patienceMs = 90_000;

export class Session {
  readonly #folder = mkdtempSync(join(tmpdir(), 'selvage-docs-'));
  readonly #background: ChildProcess[] = [];
  readonly #where: Command['where'];

  /** @param where only commands of there are run */
  constructor(where: Command['where']) {
    this.#where = where;
    symlinkSync(join(root, 'manifests'), join(this.#folder, 'manifests'));
    const shim = join(this.#folder, '.bin/npx');
    mkdirSync(dirname(shim));
    // What `npx selvage` runs where the package is installed.
    writeFileSync(
      shim,
      `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'cli/main.ts')}" "$@"\n`,
    );
    chmodSync(shim, 0o755);
  }

  /** @returns what went otherwise than the page says; null: nothing */
  async run(step: Step): Promise<string | null> {
    if (step.kind === 'yaml') return null;
    if (step.kind === 'file') {
      const file = join(this.#folder, step.name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, step.text);
      return null;
    }
    if (step.where !== this.#where) return null;
    const child = this.#spawn(step.command);
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    }
    const closed = once(child, 'close');
    if (!step.background) {
      await closed;
      return verdict(step, printed);
    }
    this.#background.push(child);
    const deadlineMs = performance.now() + patienceMs;
    while (performance.now() < deadlineMs && child.exitCode === null) {
      if (matches(step.output, printed)) return null;
      await sleep(50);
    }
    return verdict(step, printed);
  }

  /** Ends what still runs, and takes the folder away. */
  async close(): Promise<void> {
    for (const child of this.#background) {
      const closed = once(child, 'close');
      if (child.exitCode === null) {
        // To the whole group, as Ctrl-C does.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
        await closed;
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(command: string): ChildProcess {
    const path = `${join(this.#folder, '.bin')}:${process.env['PATH'] ?? ''}`;
    return spawn('bash', ['-c', command], {
      cwd: this.#folder,
      detached: true,
      // Commands find the mesh of this session, and no other that runs here.
      env: { ...process.env, PATH: path, NO_COLOR: '1', XDG_RUNTIME_DIR: this.#folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

function verdict({ command, output, line }: Command, printed: string): string | null {
  if (output.length === 0 || matches(output, printed)) return null;
  return `line ${line}: $ ${command}\nshown:\n${output.join('\n')}\nprinted:\n${printed}`;
}
