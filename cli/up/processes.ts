// The child processes of a local mesh: started, restarted with backoff as a kubelet would, ended in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { Backoff } from '#runtime/backoff.ts';

import type { Guardian } from './guardian.ts';

/** A process that ran this long is taken to be well, and its next restart is quick again. */
const settledMs = 10_000;
const killAfterMs = 10_000;

export interface ProcessSpec {
  /** Shown before each of its lines: `payments-0`. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Each line that it prints, either stream. */
  onLine(line: string): void;
  /** It ended although nobody asked it to; it starts again in `restartMs`. */
  onCrash(reason: string, restartMs: number): void;
  onStart?(): void;
  /** Ends it when the mesh cannot any more. */
  readonly guardian?: Guardian;
}

/** One process kept running until stop(). */
export class Supervised {
  readonly spec: ProcessSpec;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 10_000, jitter: 0.1 });
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopping = false;
  #startedAtMs = 0;

  constructor(spec: ProcessSpec) {
    this.spec = spec;
    this.#start();
  }

  /** undefined while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** By default SIGTERM, and SIGKILL when it does not end in time. Resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    signalGroup(pid, signal);
    const deadline = performance.now() + killAfterMs;
    // Its children too: `sh -c` is gone at once, and what it started may still drain.
    while (signalGroup(pid, 0)) {
      if (performance.now() > deadline) signalGroup(pid, 'SIGKILL');
      await sleep(20);
    }
    this.spec.guardian?.release(pid);
  }

  #start(): void {
    const { argv, cwd, env } = this.spec;
    const [command = '', ...args] = argv;
    this.#startedAtMs = performance.now();
    // Its own process group: a terminal's Ctrl-C must reach the mesh in the mesh's order.
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    if (child.pid !== undefined) this.spec.guardian?.watch(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => this.spec.onLine(line));
    }
    child.once('error', (error) => this.#ended(`cannot start ${command}: ${reasonOf(error, cwd)}`));
    child.once('exit', (code, signal) => {
      this.#ended(signal === null ? `exited with status ${code}` : `was killed by ${signal}`);
    });
    this.spec.onStart?.();
  }

  #ended(reason: string): void {
    if (this.#child === null) return;
    const { pid } = this.#child;
    this.#child = null;
    if (this.#stopping) return;
    if (pid !== undefined) {
      // As a container ends with its first process: `sh -c` may have left children behind.
      signalGroup(pid, 'SIGKILL');
      this.spec.guardian?.release(pid);
    }
    if (performance.now() - this.#startedAtMs > settledMs) this.#backoff.reset();
    const restartMs = this.#backoff.next();
    this.spec.onCrash(reason, restartMs);
    this.#timer = setTimeout(() => this.#start(), restartMs);
  }
}

/** To the process and all that it started: each leads a group of its own. False: nobody of it is left. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    // macOS says EPERM of a group that has only zombies.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH' && signal !== 0;
  }
}

function reasonOf(error: NodeJS.ErrnoException, cwd: string): string {
  // Node says the same of a folder that is not there.
  if (error.code === 'ENOENT' && !existsSync(cwd)) return `there is no folder ${cwd}`;
  if (error.code === 'ENOENT') return 'there is no such program in PATH';
  if (error.code === 'EACCES') return 'it may not be executed';
  return error.message;
}
