// `selvage up DIR`: the whole mesh on this machine, from the folder's YAML, with its programs as local processes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { CallError } from './calls/failure.ts';
import { loadModel, type MeshModel } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import type { Io } from './io.ts';
import { RunningMesh, testCalls } from './up/running.ts';
import { scenarioTable } from './up/scenario.ts';
import { untilSignal } from './up/signals.ts';
import { welcome } from './up/welcome.ts';

interface UpOptions {
  readonly folder: string;
  /** Make the calls of the folder's PolicyTests for real, and print what became of them. */
  readonly send: boolean;
  /** End after that. */
  readonly once: boolean;
  /** Where traces go; '' for nowhere. */
  readonly otlpEndpoint: string;
  readonly firstPort: number;
}

/** Exit status 0: ended as asked; 1: it did not start, or a sent call was not answered as expected; 2: wrong usage. */
export async function up(args: string[], io: Io): Promise<number> {
  try {
    return await runMesh(readOptions(args), io);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage up: ${error.message}\n`);
    return 2;
  }
}

/** The body of `up`, which `demo` shares. */
export async function runMesh(options: UpOptions, io: Io): Promise<number> {
  const model = await loadModel([options.folder], io.cwd);
  printProblems(model.problems, io);
  const signal = untilSignal();
  const state = await mkdtemp(join(tmpdir(), 'selvage-'));
  const folder = resolve(io.cwd, options.folder);
  const { otlpEndpoint, firstPort } = options;
  let running: RunningMesh | null = null;
  try {
    running = await RunningMesh.start(
      { folder, shown: options.folder, state, model, otlpEndpoint, firstPort },
      io,
    );
    return await serve(running, model, options, io, signal);
  } catch (error) {
    io.stderr.write(`selvage up: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await running?.stop();
    await rm(state, { recursive: true, force: true });
  }
}

async function serve(
  running: RunningMesh,
  model: MeshModel,
  options: UpOptions,
  io: Io,
  signal: Promise<void>,
): Promise<number> {
  let unexpected = 0;
  if (options.send) {
    const results = await running.send(model);
    io.stdout.write(`\n${scenarioTable(results, io.tty)}\n`);
    for (const { call, difference } of results.filter((r) => r.difference !== '')) {
      unexpected += 1;
      io.stdout.write(`unexpected: ${call.name}: ${difference}\n`);
    }
    io.stdout.write(`${results.length - unexpected} of ${results.length} calls went as expected\n`);
  }
  if (!options.once) {
    io.stdout.write(welcome(running.pods, running.services, testCalls(model), options.folder));
    running.follow();
    await signal;
    io.stdout.write('\nending the mesh\n');
  }
  return unexpected === 0 ? 0 : 1;
}

function readOptions(args: string[]): UpOptions {
  const { values, positionals } = parse(args);
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) {
    throw new CallError('give one folder of YAML: selvage up DIR');
  }
  const firstPort = Number(values['first-port'] ?? 21_000);
  if (!Number.isInteger(firstPort) || firstPort < 1024 || firstPort > 60_000) {
    throw new CallError('--first-port is a port from 1024 to 60000');
  }
  return {
    folder,
    send: values.send ?? false,
    once: values.once ?? false,
    otlpEndpoint: values.otlp ?? '',
    firstPort,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        send: { type: 'boolean' },
        once: { type: 'boolean' },
        otlp: { type: 'string' },
        'first-port': { type: 'string' },
      },
    });
  } catch (error) {
    throw new CallError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
