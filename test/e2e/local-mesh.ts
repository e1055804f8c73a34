// A whole mesh for a test: a copy of the shop, its own ports, every line that a person would see.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect } from 'vitest';

import { announcementFolder } from '#cli/sidecars/announcement.ts';
import { LiveModel } from '#cli/up/live-model.ts';
import type { LocalPod } from '#cli/up/plan.ts';
import { RunningMesh } from '#cli/up/running.ts';
import { type RawReply, send } from '#cli/up/send.ts';

const shop = join(import.meta.dirname, '../../manifests/examples/shop');

/** Of meshes that run at a time each claims a range of its own from here on: no test needs to know of another. */
const firstPortOfTests = 22_000;

export class TestMesh {
  readonly folder: string;
  readonly running: RunningMesh;
  /** What a person would have read so far. */
  readonly output: () => string;
  /** Where the mesh keeps its keys, pods and logs. */
  readonly state: string;

  private constructor(folder: string, state: string, running: RunningMesh, output: () => string) {
    this.folder = folder;
    this.state = state;
    this.running = running;
    this.output = output;
  }

  /** Starts the shop, or the YAML of another folder. */
  static async start(source: string = shop, otlpEndpoint = ''): Promise<TestMesh> {
    const cwd = await mkdtemp(join(tmpdir(), 'selvage-e2e-'));
    const state = await mkdtemp(join(tmpdir(), 'selvage-state-'));
    await cp(source, join(cwd, 'mesh'), { recursive: true });
    let text = '';
    const stream = { write: (more: string) => (text += more) };
    const io = { stdout: stream, stderr: stream, cwd, tty: false };
    const live = await LiveModel.read('mesh', cwd);
    const running = await RunningMesh.start(
      {
        folder: join(cwd, 'mesh'),
        shown: 'mesh',
        state,
        live,
        otlpEndpoint,
        firstPort: firstPortOfTests,
        patienceMs: 30_000,
        announceIn: announcementFolder({ XDG_RUNTIME_DIR: state }),
      },
      io,
    );
    return new TestMesh(join(cwd, 'mesh'), state, running, () => text);
  }

  /** Environment in which commands find this mesh and no other. */
  get env(): Readonly<Record<string, string>> {
    return { XDG_RUNTIME_DIR: this.state };
  }

  /** One more file of YAML, or another content of one. */
  async write(name: string, yaml: string): Promise<void> {
    await writeFile(join(this.folder, name), yaml);
  }

  pod(workload: string): LocalPod {
    const pod = this.running.pods.find((one) => one.workload === workload);
    if (pod === undefined) throw new Error(`no pod of ${workload}`);
    return pod;
  }

  /** A call through the sidecar of `from` to a URL of the mesh. */
  call(
    from: string,
    method: string,
    url: string,
    headers: [string, string][] = [],
  ): Promise<RawReply> {
    const port = this.pod(from).sidecar?.outbound ?? 0;
    const host = new URL(url).host;
    return send({
      host: '127.0.0.1',
      port,
      method,
      target: url,
      headers: [['host', host], ...headers],
      timeoutMs: 10_000,
    });
  }

  /** billing charges a card: the call that the shop's policies admit. */
  charge(): Promise<RawReply> {
    return this.call('billing', 'POST', 'http://payments.payments:8080/api/v1/charges');
  }

  /** Charges without a pause until `done` resolves. @return the status of each */
  async chargeUntil(done: Promise<unknown>): Promise<number[]> {
    const statuses: number[] = [];
    const state = { over: false };
    const end = (): void => void (state.over = true);
    done.then(end, end);
    while (!state.over) statuses.push((await this.charge()).status);
    await done;
    return statuses;
  }

  async stop(): Promise<void> {
    await this.running.stop();
    await rm(this.state, { recursive: true, force: true });
    await rm(join(this.folder, '..'), { recursive: true, force: true });
  }
}

/** Asks until the answer is as wanted; fails with the last answer when it never is. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let answer = await ask();
  while (!wanted(answer) && performance.now() < deadline) {
    await sleep(50);
    answer = await ask();
  }
  expect(wanted(answer), `the last answer was ${JSON.stringify(answer)}`).toBe(true);
  return answer;
}
