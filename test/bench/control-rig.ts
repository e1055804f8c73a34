// Control as a process, a fleet of sidecars connected to it, and what changes cost both: shared by control.ts and control-cluster.ts.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { startTestCa, type TestCa } from '../ca/fixture.ts';
import type { Applied, Fleet } from './control-fleet.ts';

/** A mesh of workloads `ns-N/app-I`, each with pods `app-I-P`, all of account `app`. */
export interface MeshSize {
  readonly namespaces: number;
  readonly workloads: number;
  readonly podsEach: number;
}

export interface Edit {
  readonly name: string;
  /** How many sidecars get another snapshot by it. */
  readonly expected: number;
  /** @param round from 1 */
  readonly apply: (round: number) => unknown;
}

interface ControlProcess {
  readonly pid: number;
  readonly port: number;
}

interface RunningFleet {
  readonly connectedMs: number;
  /** Date.now() of each application since the last call; waits until there are as many as expected. */
  collect(expected: number): Promise<number[]>;
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
  ): Promise<void> {
    const startedAtMs = Date.now();
    const control = await this.#startControl(env);
    const startMs = Date.now() - startedAtMs;
    const idleMb = residentMb(control.pid);
    const fleet = await this.#startFleet(control.port, size);
    const connectedMb = residentMb(control.pid);
    const lines: string[] = [];
    let worstMs = 0;
    for (const { name, expected, apply } of edits) {
      const latencies: number[] = [];
      const cpuBefore = cpuMs(control.pid);
      for (let round = 1; round <= rounds; round++) {
        const editedAtMs = Date.now();
        await apply(round);
        const times = await fleet.collect(expected);
        latencies.push(...times.map((atMs) => atMs - editedAtMs));
      }
      const cpu = (cpuMs(control.pid) - cpuBefore) / rounds;
      latencies.sort((a, b) => a - b);
      const at = (part: number): number => latencies[Math.ceil(latencies.length * part) - 1] ?? 0;
      worstMs = Math.max(worstMs, at(0.99));
      lines.push(
        `  ${name.padEnd(34)} ${expected} sidecars  p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)} ms  control's CPU ${cpu.toFixed(0)} ms`,
      );
    }
    const afterMb = residentMb(control.pid);
    process.stdout.write(
      `${[
        about,
        ...lines,
        `  control was ready after ${startMs} ms, all connected and served after ${fleet.connectedMs} ms`,
        `  control's resident memory: ${idleMb} MB idle, ${connectedMb} MB with all connected, ${afterMb} MB after`,
        `  budget p99 ${budgetMs} ms: ${worstMs <= budgetMs ? 'kept' : 'MISSED'}`,
      ].join('\n')}\n`,
    );
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

  async #startFleet(port: number, size: MeshSize): Promise<RunningFleet> {
    const { namespaces, workloads, podsEach } = size;
    const credentials: Fleet['credentials'] = [];
    const { createKeyAndCsr } = await import('#runtime/tls/csr.ts');
    for (let n = 0; n < namespaces; n++) {
      const { keyPem, csrPem } = createKeyAndCsr();
      const token = await this.#ca.tokens.make({ sub: `system:serviceaccount:ns-${n}:app` });
      const { body } = await this.#ca.sign({ csr: csrPem, token });
      credentials.push({ key: keyPem, cert: body.chain, ca: body.trustBundle });
    }
    const child = fork(join(import.meta.dirname, 'control-fleet.ts'));
    this.children.push(child);
    let times: number[] = [];
    child.on('message', (message: Applied) => times.push(...message.times));
    const collect = async (expected: number, waitMaxMs = 60_000): Promise<number[]> => {
      for (let waited = 0; times.length < expected && waited < waitMaxMs; waited += 10) {
        await sleep(10);
      }
      await sleep(50);
      const collected = times;
      times = [];
      if (collected.length !== expected) {
        process.stdout.write(`  (${collected.length} applications, not ${expected})\n`);
      }
      return collected;
    };
    await once(child, 'spawn');
    const startedAtMs = Date.now();
    const perNamespace = workloads / namespaces;
    child.send({ port, credentials, perNamespace, podsEach } satisfies Fleet);
    const first = await collect(workloads * podsEach, 300_000);
    return { connectedMs: Math.max(...first) - startedAtMs, collect };
  }
}

function residentMb(pid: number): number {
  const match = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(match?.[1] ?? 0) / 1024);
}

/** User and system time of a process, ms; fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
