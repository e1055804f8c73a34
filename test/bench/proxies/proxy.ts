// A proxy under test: how it is started, and what is measured of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { World } from '../world.ts';

export interface ProxyKind {
  readonly name: string;
  /** null: it is installed; else why it is left out. */
  missing(): string | null;
  /** Terminates mutual TLS on `port`, judges by the ten rules, forwards to the application. */
  inbound(world: World, port: number, application: number): ChildProcess;
  /** Takes plaintext on `port`, calls `server` with mutual TLS. */
  outbound(world: World, port: number, server: number): ChildProcess;
  /** Whether its way out is a forward proxy that wants the absolute form. */
  readonly absoluteForm: boolean;
}

export interface RunningProxy {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
  /** From the start of the process to an accepted connection, ms. */
  readonly startupMs: number;
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

/** Resolves with the time it took until something accepts on the port. */
export async function untilAccepting(child: ChildProcess, port: number): Promise<number> {
  const startedAtMs = performance.now();
  while (performance.now() - startedAtMs < 20_000) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended at its start`);
    if (await accepts(port)) return performance.now() - startedAtMs;
    await sleep(2);
  }
  throw new Error(`${child.spawnfile} does not listen on ${port}`);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function startInbound(
  kind: ProxyKind,
  world: World,
  application: number,
): Promise<RunningProxy> {
  const port = await freePort();
  return running(kind.name, port, [kind.inbound(world, port, application)]);
}

export async function startPair(
  kind: ProxyKind,
  world: World,
  application: number,
): Promise<RunningProxy> {
  const [inner, outer] = [await freePort(), await freePort()];
  const server = kind.inbound(world, inner, application);
  await untilAccepting(server, inner);
  return running(kind.name, outer, [kind.outbound(world, outer, inner), server]);
}

async function running(
  name: string,
  port: number,
  children: readonly ChildProcess[],
): Promise<RunningProxy> {
  const [first] = children;
  if (first === undefined) throw new Error('a proxy has a process');
  const startupMs = await untilAccepting(first, port);
  return {
    name,
    port,
    startupMs,
    pids: children.map(({ pid }) => pid ?? 0),
    stop: async () => {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
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
