// A sidecar for each pod of a mesh, connected to control from two processes: nearly all of them thin, a sample of them real.
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import type { TestCa } from '../ca/fixture.ts';
import { cpuUsOf } from './accounting.ts';
import type { Applied, Fleet } from './control-fleet.ts';

/** A mesh of workloads `ns-N/app-I`, each with pods `app-I-P`, all of account `app`. */
export interface MeshSize {
  readonly namespaces: number;
  readonly workloads: number;
  readonly podsEach: number;
}

/** Date.now() of every snapshot that came: its arrival at thin sidecars, when it was in force at real ones. */
export interface Times {
  readonly arrived: readonly number[];
  readonly inForce: readonly number[];
}

const realEach = 50;

export class Fleets {
  readonly #thin: OneFleet;
  readonly #real: OneFleet;
  /** How many of the sidecars are real. */
  readonly realCount: number;

  constructor(size: MeshSize) {
    this.#thin = new OneFleet();
    this.#real = new OneFleet();
    this.realCount = Math.floor((size.workloads * size.podsEach) / realEach);
  }

  get children(): readonly ChildProcess[] {
    return [this.#thin.child, this.#real.child];
  }

  /** Connects all. @return how long it took until each had its first snapshot, ms */
  async connect(ca: TestCa, port: number, size: MeshSize): Promise<number> {
    const { namespaces, workloads, podsEach } = size;
    const credentials = await Promise.all(
      Array.from({ length: namespaces }, (_, n) => svidOf(ca, `system:serviceaccount:ns-${n}:app`)),
    );
    const perNamespace = workloads / namespaces;
    const startedAtMs = Date.now();
    for (const [kind, fleet] of [
      ['thin', this.#thin],
      ['real', this.#real],
    ] as const) {
      fleet.child.send({
        kind,
        port,
        credentials,
        perNamespace,
        podsEach,
        realEach,
      } satisfies Fleet);
    }
    const { arrived, inForce } = await this.collect(workloads * podsEach, 300_000);
    return Math.max(...arrived, ...inForce) - startedAtMs;
  }

  /** What came since the last call, when it is as many as expected, or after `waitMaxMs`. */
  async collect(expected: number, waitMaxMs = 20_000): Promise<Times> {
    const count = (): number => this.#thin.times.length + this.#real.times.length;
    for (let waited = 0; count() < expected && waited < waitMaxMs; waited += 10) await sleep(10);
    return this.#settled(expected);
  }

  /** What came since the last call, when nothing has come for `quietMs`. */
  async collectUntilQuiet(quietMs: number): Promise<Times> {
    for (let before = -1, now = 0; before !== now;) {
      before = now;
      await sleep(quietMs);
      now = this.#thin.times.length + this.#real.times.length;
    }
    return this.#settled(null);
  }

  /** Of the process with the real ones, µs. */
  realCpuUs(): number {
    return cpuUsOf([this.#real.child.pid ?? 0]);
  }

  async #settled(expected: number | null): Promise<Times> {
    await sleep(50);
    const times = { arrived: this.#thin.take(), inForce: this.#real.take() };
    const count = times.arrived.length + times.inForce.length;
    if (expected !== null && count !== expected) {
      process.stdout.write(`  (${count} snapshots came, not ${expected})\n`);
    }
    return times;
  }
}

class OneFleet {
  readonly child = fork(join(import.meta.dirname, 'control-fleet.ts'));
  times: number[] = [];

  constructor() {
    this.child.on('message', (message: Applied) => this.times.push(...message.times));
  }

  take(): number[] {
    const taken = this.times;
    this.times = [];
    return taken;
  }
}

async function svidOf(ca: TestCa, sub: string): Promise<Svid> {
  const { keyPem, csrPem } = createKeyAndCsr();
  const { body } = await ca.sign({ csr: csrPem, token: await ca.tokens.make({ sub }) });
  const { chain: chainPem, trustBundle: trustBundlePem, identity, notAfter } = body;
  return { keyPem, chainPem, trustBundlePem, identity, notAfterMs: Date.parse(notAfter) };
}
