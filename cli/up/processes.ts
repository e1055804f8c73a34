// The child processes of a local mesh: started, restarted with backoff as a kubelet would, ended in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Backoff } from '#runtime/backoff.ts';

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
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null) return Promise.resolve();
    return new Promise((resolve) => {
      const kill = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      child.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      child.kill(signal);
    });
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
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => this.spec.onLine(line));
    }
    child.once('error', (error) => this.#ended(`cannot start ${command}: ${error.message}`));
    child.once('exit', (code, signal) => {
      this.#ended(signal === null ? `exited with status ${code}` : `was killed by ${signal}`);
    });
    this.spec.onStart?.();
  }

  #ended(reason: string): void {
    if (this.#child === null) return;
    this.#child = null;
    if (this.#stopping) return;
    if (performance.now() - this.#startedAtMs > settledMs) this.#backoff.reset();
    const restartMs = this.#backoff.next();
    this.spec.onCrash(reason, restartMs);
    this.#timer = setTimeout(() => this.#start(), restartMs);
  }
}
