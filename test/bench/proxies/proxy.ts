// A proxy under test: how it is started, measured and ended.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from '#test/free-port.ts';

import { processTree } from '../accounting.ts';
import type { ApplicationPorts } from '../application.ts';
import type { World } from '../world.ts';

/** What the application's port is declared as: HTTP/1.1, gRPC (HTTP/2 in plaintext), or bytes. */
export type Carries = keyof ApplicationPorts;

/** What one process is to do. */
export interface Role {
  /** Where it listens. */
  readonly port: number;
  /** Where it leads: the application's port, or the inbound proxy's. */
  readonly next: number;
  readonly carries: Carries;
  readonly workers: number;
}

export interface ProxyKind {
  readonly name: string;
  /** null: it is installed; else why it is left out. */
  missing(): string | null;
  /** Whether it can be set up so at all; whether it then serves is seen by a first call. */
  can(setup: Setup, carries: Carries, workers: number): boolean;
  /** Terminates mutual TLS, judges by the ten rules, forwards to the application. */
  inbound(world: World, role: Role): ChildProcess;
  /** Takes plaintext, calls the inbound proxy with mutual TLS. */
  outbound(world: World, role: Role): ChildProcess;
  /** Whether its way out is a forward proxy: absolute-form for HTTP/1.1, CONNECT for all else. */
  readonly isForwardProxy: boolean;
}

export type Setup = 'inbound' | 'pair';

export interface RunningProxy {
  readonly kind: ProxyKind;
  readonly setup: Setup;
  readonly port: number;
  /** Where the inbound proxy listens: the same, without an outbound one before it. */
  readonly innerPort: number;
  /** The outermost process first, each followed by its workers. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

/** Starts a program without its output; the benchmark ends it by its pid. */
export function start(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): ChildProcess {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  child.once('exit', (status) => {
    if (status !== 0 && status !== null)
      process.stderr.write(`${command} ended with ${status}: ${errors}\n`);
  });
  return child;
}

/** null: the program runs; else how to get it. */
export function missingProgram(command: string, flag: string, install: string): string | null {
  try {
    execFileSync(command, [flag], { stdio: 'ignore' });
    return null;
  } catch {
    return `${command} is not installed (${install})`;
  }
}

/** Starts one process for inbound, two for a pair, and waits until they accept. */
export async function startProxy(
  kind: ProxyKind,
  world: World,
  application: ApplicationPorts,
  { setup, carries, workers }: { setup: Setup; carries: Carries; workers: number },
): Promise<RunningProxy> {
  const inner = await freePort();
  const role = { port: inner, next: application[carries], carries, workers };
  const children = [kind.inbound(world, role)];
  let port = inner;
  try {
    await untilAccepting(children, inner);
    if (setup === 'pair') {
      port = await freePort();
      children.unshift(kind.outbound(world, { ...role, port, next: inner }));
      await untilAccepting(children, port);
    }
  } catch (error) {
    await endAll(children);
    throw error;
  }
  return {
    kind,
    setup,
    port,
    innerPort: inner,
    // Looked up each time, since workers may come after the listener.
    pids: () => children.flatMap(({ pid }) => processTree(pid ?? 0)),
    stop: () => endAll(children),
  };
}

/** Ends processes with their workers, which a killed master would leave behind. */
export async function endAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const [, ...workers] = processTree(child.pid ?? 0);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    for (const worker of workers) killIfThere(worker);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended with its master.
  }
}

export async function untilAccepting(
  children: readonly ChildProcess[],
  port: number,
): Promise<void> {
  const startedAtMs = performance.now();
  while (performance.now() - startedAtMs < 20_000) {
    const ended = children.find(({ exitCode }) => exitCode !== null);
    if (ended !== undefined) throw new Error(`${ended.spawnfile} ended at its start`);
    if (await accepts(port)) return;
    await sleep(5);
  }
  throw new Error(`${children[0]?.spawnfile} does not listen on ${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
