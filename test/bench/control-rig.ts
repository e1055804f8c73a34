// Control as a process, a fleet of sidecars connected to it, and what changes cost both: shared by control.ts and control-cluster.ts.
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { startTestCa, type TestCa } from '../ca/fixture.ts';
import { cpuUsOf, residentMbOf } from './accounting.ts';
import { Fleets, type MeshSize } from './control-fleets.ts';

export interface Edit {
  readonly name: string;
  /** How many sidecars get another snapshot by it. */
  readonly expected: number;
  /** @param round from 1 */
  readonly apply: (round: number) => unknown;
}

/** Many changes, one soon after the other, as in a rollout. */
export interface Series {
  readonly name: string;
  readonly changes: number;
  readonly everyMs: number;
  /** @param change from 1 */
  readonly apply: (change: number) => unknown;
}

interface ControlProcess {
  readonly pid: number;
  readonly port: number;
}

const rounds = 10;
const budgetMs = 1000;

/** What control needs besides its resources: a CA, a token. Made in `with`, gone after it. */
export class ControlRig {
  readonly folder: string;
  readonly children: ChildProcess[] = [];
  readonly #ca: TestCa;

  private constructor(folder: string, ca: TestCa) {
    this.folder = folder;
    this.#ca = ca;
  }

  static async with(use: (rig: ControlRig) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'selvage-bench-'));
    const ca = await startTestCa();
    const rig = new ControlRig(folder, ca);
    try {
      await writeFile(join(folder, 'bundle.pem'), await ca.bundle());
      const sub = 'system:serviceaccount:selvage-system:selvage-control';
      await writeFile(join(folder, 'token'), await ca.tokens.make({ sub }));
      await use(rig);
    } finally {
      for (const child of rig.children) child.kill('SIGKILL');
      await ca.close();
      rmSync(folder, { recursive: true });
    }
  }

  /**
   * Starts control with these settings, connects a sidecar for each pod, and makes every edit some rounds long.
   * @param about first line of the report
   */
  async measure(
    about: string,
    env: Readonly<Record<string, string>>,
    size: MeshSize,
    edits: readonly Edit[],
    series: readonly Series[] = [],
  ): Promise<void> {
    const startedAtMs = Date.now();
    const control = await this.#startControl(env);
    const startMs = Date.now() - startedAtMs;
    const idleMb = residentMb(control.pid);
    const fleets = new Fleets(size);
    this.children.push(...fleets.children);
    const connectedMs = await fleets.connect(this.#ca, control.port, size);
    const connectedMb = residentMb(control.pid);
    say(about);
    let worstMs = 0;
    for (const edit of edits) {
      const { line, p99Ms } = await measureEdit(edit, control, fleets);
      worstMs = Math.max(worstMs, p99Ms);
      say(line);
    }
    for (const one of series) say(await measureSeries(one, control, fleets, size));
    const afterMb = residentMb(control.pid);
    say(
      `  control was ready after ${startMs} ms, all connected and served after ${connectedMs} ms`,
    );
    say(
      `  control's resident memory: ${idleMb} MB idle, ${connectedMb} MB with all connected, ${afterMb} MB after`,
    );
    say(`  budget p99 ${budgetMs} ms: ${worstMs <= budgetMs ? 'kept' : 'MISSED'}`);
    if (worstMs > budgetMs) process.exitCode = 1;
  }

  async #startControl(env: Readonly<Record<string, string>>): Promise<ControlProcess> {
    const child = spawn(process.execPath, ['control/main.ts'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        SELVAGE_CONTROL_LISTEN: '127.0.0.1:0',
        SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
        SELVAGE_CA: `https://127.0.0.1:${this.#ca.ca.port}`,
        SELVAGE_TOKEN_FILE: join(this.folder, 'token'),
        SELVAGE_TRUST_BUNDLE_FILE: join(this.folder, 'bundle.pem'),
        ...env,
      },
    });
    this.children.push(child);
    const { promise, resolve } = Promise.withResolvers<number>();
    createInterface(child.stdout).on('line', (line) => {
      if (line.includes('control ready')) resolve((JSON.parse(line) as { port: number }).port);
    });
    return { pid: child.pid ?? 0, port: await promise };
  }
}

/** One line of the report, and the p99 that the budget is for: of all arrivals, and of all that were in force. */
async function measureEdit(
  { name, expected, apply }: Edit,
  control: ControlProcess,
  fleets: Fleets,
): Promise<{ readonly line: string; readonly p99Ms: number }> {
  const arrivedMs: number[] = [];
  const inForceMs: number[] = [];
  const [controlUs, realUs] = [cpuUsOf([control.pid]), fleets.realCpuUs()];
  for (let round = 1; round <= rounds; round++) {
    const editedAtMs = Date.now();
    await apply(round);
    const { arrived, inForce } = await fleets.collect(expected);
    arrivedMs.push(...arrived.map((atMs) => atMs - editedAtMs));
    inForceMs.push(...inForce.map((atMs) => atMs - editedAtMs));
  }
  const controlMs = (cpuUsOf([control.pid]) - controlUs) / rounds / 1000;
  const realMs = (fleets.realCpuUs() - realUs) / inForceMs.length / 1000;
  const real =
    inForceMs.length < rounds * fleets.realCount
      ? ''
      : `  in force at ${fleets.realCount} real ones ${spread(inForceMs)}, ${realMs.toFixed(2)} ms of CPU each`;
  return {
    line: `  ${name.padEnd(34)} ${expected} sidecars  there ${spread(arrivedMs)}${real}  control's CPU ${controlMs.toFixed(0)} ms`,
    p99Ms: Math.max(percentile(arrivedMs, 0.99), percentile(inForceMs, 0.99)),
  };
}

async function measureSeries(
  { name, changes, everyMs, apply }: Series,
  control: ControlProcess,
  fleets: Fleets,
  { workloads, podsEach }: MeshSize,
): Promise<string> {
  const [controlUs, realUs] = [cpuUsOf([control.pid]), fleets.realCpuUs()];
  const startedAtMs = Date.now();
  for (let change = 1; change <= changes; change++) {
    const dueMs = startedAtMs + change * everyMs - Date.now();
    if (dueMs > 0) await sleep(dueMs);
    await apply(change);
  }
  const lastAtMs = Date.now();
  const { arrived, inForce } = await fleets.collectUntilQuiet(1000);
  const controlMs = (cpuUsOf([control.pid]) - controlUs) / 1000;
  const realMs = (fleets.realCpuUs() - realUs) / fleets.realCount / 1000;
  const pushes = arrived.length / (workloads * podsEach - fleets.realCount);
  return `  ${name.padEnd(34)} over ${lastAtMs - startedAtMs} ms: ${pushes.toFixed(1)} snapshots each, the last one there ${Math.max(...arrived) - lastAtMs} ms and in force ${Math.max(...inForce) - lastAtMs} ms after the last change  control's CPU ${controlMs.toFixed(0)} ms, ${realMs.toFixed(1)} ms each real one's`;
}

function spread(latenciesMs: readonly number[]): string {
  const at = (part: number): number => percentile(latenciesMs, part);
  return `p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** 0 of nothing. */
function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * part) - 1] ?? 0;
}

function residentMb(pid: number): number {
  return Math.round(residentMbOf([pid]));
}
