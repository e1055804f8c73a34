// The sidecar under replay: the real process, its listeners, its log and its end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { sidecarNodeFlags } from '#api/node-flags.ts';
import { programFile } from '../programs.ts';
import { AccessLines } from './access-lines.ts';
import { SidecarUnusable } from './unusable.ts';

const readyTimeoutMs = 30_000;
const killAfterMs = 5000;

export class SidecarProcess {
  readonly lines = new AccessLines();
  /** Rejects when the process ends, or is to end. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  readonly #ready = Promise.withResolvers<readonly number[]>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #complain: (text: string) => void;
  #stopping = false;

  /** @param complain told of each line that speaks of a fault */
  constructor(environment: Readonly<Record<string, string>>, complain: (text: string) => void) {
    this.#complain = complain;
    this.failed = this.#failed.promise;
    // Also where nobody waits for it.
    this.failed.catch(() => undefined);
    this.#child = spawn(process.execPath, [...sidecarNodeFlags, programFile('sidecar')], {
      env: {
        ...environment,
        // Standard output is the process's own log.
        SELVAGE_ACCESS_LOG: '/dev/stderr',
        SELVAGE_ACCESS_LOG_FORMAT: 'json',
        SELVAGE_LOG_LEVEL: 'info',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.#child;
    if (stdout !== null) createInterface(stdout).on('line', (line) => this.#logged(line));
    if (stderr !== null) {
      createInterface(stderr).on('line', (line) => {
        if (!this.lines.take(line)) complain(line);
      });
    }
    this.#child.once('error', (error) => this.#ended(error.message));
    this.#child.once('exit', (code, signal) => this.#ended(`it ended with ${signal ?? code}`));
  }

  /** Resolves with the listening ports, in the order of SELVAGE_INBOUND. Rejects when the sidecar does not start. */
  async ready(): Promise<readonly number[]> {
    const timer = setTimeout(() => this.#ended('it is not ready in time'), readyTimeoutMs);
    try {
      return await this.#ready.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#failed.reject(new SidecarUnusable('it was stopped'));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), killAfterMs);
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
    clearTimeout(timer);
  }

  #logged(text: string): void {
    let line: Readonly<Record<string, unknown>>;
    try {
      line = JSON.parse(text) as Readonly<Record<string, unknown>>;
    } catch {
      this.#complain(text);
      return;
    }
    if (line['level'] === 'error' || line['level'] === 'warn') this.#complain(text);
    if (Array.isArray(line['inboundPorts'])) this.#ready.resolve(line['inboundPorts'] as number[]);
  }

  #ended(reason: string): void {
    if (this.#stopping) return;
    const error = new SidecarUnusable(reason);
    this.#ready.reject(error);
    this.#failed.reject(error);
  }
}
