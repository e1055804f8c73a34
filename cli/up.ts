// `selvage up DIR`: the whole mesh on this machine, from the folder's YAML, with its programs as local processes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { readOtlpEndpoint } from '#sidecar/telemetry/otlp/target.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import type { MeshModel } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import type { Io } from './io.ts';
import { announcementFolder } from './sidecars/announcement.ts';
import { LiveModel } from './up/live-model.ts';
import { startOwnDashboard } from './up/own-dashboard.ts';
import { defaultFirstPort, lastPort } from './up/ports.ts';
import { RunningMesh } from './up/running.ts';
import { scenarioTable } from './up/scenario.ts';
import { onSignal } from './up/signals.ts';
import { testCalls } from './up/test-calls.ts';
import { findTraceHome, noTraces, type TraceHome, traceLinks } from './up/trace-home.ts';
import { welcome } from './up/welcome.ts';

interface UpOptions {
  readonly folder: string;
  /** Make the calls of the folder's PolicyTests for real, and print what became of them. */
  readonly send: boolean;
  /** End after that. */
  readonly once: boolean;
  /** Where traces go; `off`: nowhere; '': to a collector on the usual port of this machine, if there is one. */
  readonly otlpEndpoint: string;
  readonly firstPort: number;
  /** Serve the web page of it, until it ends. */
  readonly dashboard: boolean;
}

/** As a shell says it: 128 and the number of SIGINT. */
const interruptedStatus = 130;

/** Exit status 0: ended as asked; 1: it did not start, or a sent call was not answered as expected; 2: wrong usage; 130: interrupted before it was done. */
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
  const live = await LiveModel.read(options.folder, io.cwd);
  const { model } = live;
  checkFolder(model, options);
  printProblems(model.problems, io);
  const interrupted = onSignal();
  const state = await mkdtemp(join(tmpdir(), 'selvage-'));
  const folder = resolve(io.cwd, options.folder);
  const { firstPort } = options;
  const traces = await findTraceHome(options.otlpEndpoint);
  if (traces.line !== '') io.stdout.write(`${traces.line}\n`);
  // A person is told meanwhile what listens and what does not; calls are sent but once.
  const patienceMs = options.send || options.once ? 30_000 : 6000;
  let running: RunningMesh | null = null;
  try {
    running = await RunningMesh.start(
      {
        folder,
        shown: options.folder,
        state,
        live,
        otlpEndpoint: traces.otlpEndpoint,
        firstPort,
        patienceMs,
        interrupted,
        announceIn: announcementFolder(io.env ?? {}),
      },
      io,
    );
    return await serve(running, model, { ...options, traces }, io, interrupted);
  } catch (error) {
    if (interrupted.aborted) return interruptedStatus;
    io.stderr.write(`selvage up: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await running?.stop();
    await rm(state, { recursive: true, force: true });
  }
}

/** @throws CallError when there is nothing to do as asked */
function checkFolder(model: MeshModel, { folder, send }: UpOptions): void {
  if (model.workloads.length === 0) {
    const kinds = 'Deployment, StatefulSet, DaemonSet or Pod';
    throw new CallError(`nothing to run: there is no ${kinds} in ${folder}`);
  }
  if (send && testCalls(model).length === 0) {
    throw new CallError(`nothing to send: there is no PolicyTest in ${folder}`);
  }
}

async function serve(
  running: RunningMesh,
  model: MeshModel,
  options: UpOptions & { readonly traces: TraceHome },
  io: Io,
  interrupted: AbortSignal,
): Promise<number> {
  const sent = options.send ? await sendCalls(running, model, options.traces, io) : nothingSent;
  if (interrupted.aborted) return interruptedStatus;
  if (!options.once) {
    const calls = testCalls(model);
    const dashboard = options.dashboard ? await startOwnDashboard(io) : null;
    const { pods, services } = running;
    const { refusedId } = sent;
    io.stdout.write(welcome(pods, services, calls, options.folder, refusedId, dashboard?.url));
    running.follow();
    await new Promise((end) => {
      interrupted.addEventListener('abort', end, { once: true });
    });
    await dashboard?.close();
    io.stdout.write('\nending the mesh\n');
  }
  // Without a resource that was left out, what the calls found says little.
  const whole = model.problems.every(({ severity }) => severity !== 'error');
  return sent.asExpected && (whole || !options.send) ? 0 : 1;
}

interface SentCalls {
  /** All of them. */
  readonly asExpected: boolean;
  /** The first refusal's `x-selvage-id`; '' without one. */
  readonly refusedId: string;
}

const nothingSent: SentCalls = { asExpected: true, refusedId: '' };

/** Makes the calls and prints what became of them. */
async function sendCalls(
  running: RunningMesh,
  model: MeshModel,
  traces: TraceHome,
  io: Io,
): Promise<SentCalls> {
  const results = await running.send(model);
  io.stdout.write(`\n${scenarioTable(results, io)}\n`);
  const unexpected = results.filter(({ difference }) => difference !== '');
  for (const { call, difference } of unexpected) {
    io.stdout.write(`unexpected: ${call.name}: ${difference}\n`);
  }
  const good = results.length - unexpected.length;
  const left = testCalls(model).filter(({ tcp }) => tcp === true).length;
  const unsent = left === 0 ? '' : ` (${left} of TCP not sent: selvage test judges them)`;
  io.stdout.write(`${good} of ${results.length} calls went as expected${unsent}\n`);
  io.stdout.write(traceLinks(traces, results));
  const ids = results.map(({ reply }) => reply.headers.get('x-selvage-id') ?? '');
  return { asExpected: unexpected.length === 0, refusedId: ids.find((id) => id !== '') ?? '' };
}

function readOptions(args: string[]): UpOptions {
  const { values, positionals } = readArguments(args, {
    send: { type: 'boolean' },
    once: { type: 'boolean' },
    otlp: { type: 'string' },
    'first-port': { type: 'string' },
    'no-dashboard': { type: 'boolean' },
  });
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) {
    throw new CallError('give one folder of YAML: selvage up DIR');
  }
  const firstPort = Number(values['first-port'] ?? defaultFirstPort);
  if (!Number.isInteger(firstPort) || firstPort < 1024 || firstPort >= lastPort) {
    throw new CallError(`--first-port is a port from 1024 to ${lastPort - 1}`);
  }
  const { send = false, once = false, otlp = '' } = values;
  if (otlp !== '' && otlp !== noTraces && readOtlpEndpoint(otlp) === null) {
    const wanted = `a URL like http://127.0.0.1:4318 or grpc://127.0.0.1:4317, or ${noTraces}`;
    throw new CallError(`--otlp is ${wanted}, not "${otlp}"`);
  }
  const dashboard = values['no-dashboard'] !== true;
  return { folder, send, once, otlpEndpoint: otlp, firstPort, dashboard };
}
