// A mesh that runs, with what a person wants of it: calls sent, traffic shown, edits followed.
import { resolve } from 'node:path';

import { frontOf } from '../calls/call.ts';
import type { MeshModel } from '../calls/model.ts';
import { placeAndMessage } from '../calls/problems.ts';
import type { Io } from '../io.ts';
import { paint } from '../table.ts';
import { Edits } from './edits.ts';
import { untilKeysAreThere } from './enforced.ts';
import type { LiveModel } from './live-model.ts';
import { LocalMesh } from './mesh.ts';
import { MeshLog } from './mesh-log.ts';
import { type LocalPod, planPods, podKey } from './plan.ts';
import { describeChanges, serviceLines, trustDomainLines, wayLines, workloadOf } from './follow.ts';
import { PortRange } from './ports.ts';
import {
  eventually,
  type LiveCall,
  type LiveResult,
  sendLive,
  type ServiceName,
} from './scenario.ts';
import { JsonTail } from './tail.ts';
import { ToldMesh } from './told.ts';
import { differenceOf, liveCall, type TestCall, testCalls } from './test-calls.ts';
import { tokenFrom } from './token-from.ts';
import { type AccessLine, accessLine, describeTraffic } from './traffic.ts';
import type { NamedService } from './welcome.ts';
import { localWorkloads } from './workloads.ts';

export interface RunningOptions {
  /** Absolute. */
  readonly folder: string;
  /** As the user wrote it. */
  readonly shown: string;
  readonly state: string;
  readonly live: LiveModel;
  readonly otlpEndpoint: string;
  readonly firstPort: number;
  /** How long the start waits for programs to listen. */
  readonly patienceMs: number;
  /** Somebody wants it to end, perhaps before it has begun. */
  readonly interrupted?: AbortSignal;
  /** Folder where other commands find the mesh; left out: they do not. */
  readonly announceIn?: string;
}

export interface SentCall extends LiveResult {
  /** `expected deny, got allow`; '' when it went as expected. */
  readonly difference: string;
}

/** Lines of each sidecar that are kept to look a call up in. */
const linesKept = 512;
const keysWaitMs = 10_000;

export class RunningMesh {
  readonly #mesh: LocalMesh;
  readonly #range: PortRange;
  readonly #options: RunningOptions;
  readonly #io: Io;
  /** What the pods that run were made of. */
  #model: MeshModel;
  /** By the pod's namespace and name. */
  readonly #lines = new Map<string, AccessLine[]>();
  readonly #tails: JsonTail[] = [];
  /** Null: nobody is told. */
  readonly #told: ToldMesh | null;
  #edits: Edits | null = null;
  #following = false;

  private constructor(
    mesh: LocalMesh,
    range: PortRange,
    told: ToldMesh | null,
    options: RunningOptions,
    io: Io,
  ) {
    this.#mesh = mesh;
    this.#range = range;
    this.#told = told;
    this.#options = options;
    this.#io = io;
    this.#model = options.live.model;
    for (const pod of this.pods) this.#watch(pod);
  }

  /** @throws what did not start; when it is interrupted, the signal's reason. Nothing is left running then */
  static async start(options: RunningOptions, io: Io): Promise<RunningMesh> {
    const range = await PortRange.claim(options.firstPort);
    try {
      return await RunningMesh.#start(range, options, io);
    } catch (error) {
      await range.release();
      throw error;
    }
  }

  static async #start(range: PortRange, options: RunningOptions, io: Io): Promise<RunningMesh> {
    const { folder, shown, live, state, otlpEndpoint, patienceMs, interrupted } = options;
    const { announceIn } = options;
    const ports = {
      ca: await range.take(),
      caAdmin: await range.take(),
      control: await range.take(),
      controlAdmin: await range.take(),
    };
    const pods = await podsOf(live.model, range, io);
    const log = new MeshLog((text) => io.stdout.write(text), io.tty);
    const note = (text: string): void => {
      io.stdout.write(`${paint('!', 'yellow', io.tty)} ${text}\n`);
    };
    const told =
      announceIn === undefined ? null : new ToldMesh(announceIn, { folder, shown, ...ports }, note);
    const starting = LocalMesh.start(
      {
        resources: [shown],
        cwd: io.cwd,
        state,
        announcement: told?.path,
        trustDomain: live.model.resources.meshConfig.trustDomain,
        ports,
        otlpEndpoint,
        environment: process.env,
        events: {
          line: (name, line) => io.stdout.write(`${paint(`${name} |`, 'dim', io.tty)} ${line}\n`),
          log: (name, line) => log.take(name, line),
          note,
        },
        patienceMs,
        interrupted,
      },
      pods,
    );
    const mesh = await starting.catch((error: unknown) => {
      if (interrupted?.aborted !== true) log.failed();
      throw error;
    });
    const left = await untilKeysAreThere(mesh.controlAdmin, keysWaitMs, interrupted);
    log.up();
    // Mistakes in the YAML were told before anything started.
    const known = new Set(live.model.problems.map(({ message, line }) => `${line} ${message}`));
    for (const problem of left) {
      if (!known.has(`${problem.line} ${problem.message}`)) note(placeAndMessage(problem));
    }
    const running = new RunningMesh(mesh, range, told, options, io);
    await told?.tell(running.pods);
    return running;
  }

  get pods(): readonly LocalPod[] {
    return this.#mesh.pods;
  }

  /** Ways in: the Services that lead to pods, one for each port and pod. */
  get services(): readonly NamedService[] {
    return this.pods.flatMap((pod) => this.#servicesOf(pod));
  }

  /** Pids by process name: `ca/ca`, `control/control`, `sidecar/web-0`, `app/web-0`. */
  pids(): ReadonlyMap<string, number | undefined> {
    return this.#mesh.pids();
  }

  /** Port of the CA's admin endpoint, where its root is rotated. */
  get caAdminPort(): number {
    return this.#mesh.options.ports.caAdmin;
  }

  /** Port of control's admin endpoint. */
  get controlAdminPort(): number {
    return this.#mesh.options.ports.controlAdmin;
  }

  /** Ends one process for good, as an outage would. */
  halt(name: string): Promise<void> {
    return this.#mesh.halt(name);
  }

  /** Makes every HTTP call of the PolicyTests, in order. */
  async send(model: MeshModel): Promise<SentCall[]> {
    const results: SentCall[] = [];
    for (const call of testCalls(model)) {
      if (call.tcp === true || this.#options.interrupted?.aborted === true) continue;
      const headers = await this.#headersOf(call);
      const result = await sendLive(this.#live(), liveCall(call, headers));
      results.push({ ...result, difference: differenceOf(call, result) });
    }
    return results;
  }

  /** From now on shows traffic as it happens, follows edits of the YAML, and tells what they change. */
  follow(): void {
    this.#following = true;
    const { folder, live } = this.#options;
    this.#edits = new Edits({
      folder,
      live,
      io: this.#io,
      controlAdmin: this.#mesh.controlAdmin,
      apply: (model) => this.#apply(model),
    });
  }

  async stop(): Promise<void> {
    await this.#edits?.stop();
    for (const tail of this.#tails) tail.stop();
    await this.#told?.end();
    await this.#mesh.stop();
    await this.#range.release();
  }

  async #apply(model: MeshModel): Promise<string[]> {
    const before = { pods: this.pods, services: this.services };
    const pods = await podsOf(model, this.#range, this.#io, before.pods);
    this.#model = model;
    const applied = this.#mesh.apply(pods);
    await applied.catch(() => undefined);
    await this.#told?.tell(this.pods);
    const changes = await applied;
    for (const pod of changes.added) this.#watch(pod);
    return [
      ...trustDomainLines(this.#mesh.options.trustDomain, model),
      ...describeChanges(changes, new Set(before.pods.map(workloadOf))),
      ...wayLines(changes.added),
      ...serviceLines(before.services, this.services),
    ];
  }

  #watch(pod: LocalPod): void {
    // A pod that comes again writes on in the same log.
    if (this.#lines.has(podKey(pod))) return;
    const kept: AccessLine[] = [];
    this.#lines.set(podKey(pod), kept);
    const tail = new JsonTail(this.#mesh.accessLogOf(pod), (raw) => {
      const line = accessLine(raw);
      kept.push(line);
      if (kept.length > linesKept) kept.shift();
      if (!this.#following) return;
      const text = describeTraffic(pod, this.#calleeOf(pod), line, this.#io.tty);
      if (text !== null) this.#io.stdout.write(`${text}\n`);
    });
    this.#tails.push(tail);
  }

  #calleeOf(pod: LocalPod): string {
    const several = this.pods.some(
      (other) => podKey(other) !== podKey(pod) && workloadOf(other) === workloadOf(pod),
    );
    return several ? pod.name : pod.workload;
  }

  #live() {
    return {
      pods: this.pods,
      serviceOf: (pod: LocalPod, port: number): ServiceName | null =>
        this.#servicesOf(pod).find((service) => service.targetPort === port) ?? null,
      findLine: (pod: LocalPod, matches: (line: AccessLine) => boolean) =>
        eventually(async () => this.#lines.get(podKey(pod))?.find(matches) ?? null),
    };
  }

  #servicesOf(pod: LocalPod): (NamedService & { readonly targetPort: number })[] {
    const model = this.#model;
    const workload = model.workloads.find(
      (w) => w.namespace === pod.namespace && w.name === pod.workload,
    );
    if (workload === undefined) return [];
    return pod.ports.flatMap(({ port }) => {
      const protocol = workload.ports.find((one) => one.port === port)?.protocol;
      const isTcp = protocol === 'tcp' || protocol === 'tls';
      const front = frontOf(model, workload, port);
      if (front === null) return [];
      return [
        { host: `${front.name}.${pod.namespace}`, port: front.port, pod, isTcp, targetPort: port },
      ];
    });
  }

  async #headersOf(call: TestCall): Promise<LiveCall['headers']> {
    const headers = Object.entries(call.headers ?? {}).flatMap(([name, value]) =>
      [value].flat().map((one) => [name, one] as const),
    );
    if (call.tokenFrom === undefined) return headers;
    const caller = this.pods.find((p) => `${p.namespace}/${p.serviceAccount}` === call.from);
    const token = await tokenFrom(call.tokenFrom, caller?.sidecar?.outbound ?? null);
    return [...headers, ['authorization', `Bearer ${token}`] as const];
  }
}

function podsOf(
  model: MeshModel,
  range: PortRange,
  io: Io,
  before: readonly LocalPod[] = [],
): Promise<LocalPod[]> {
  const workloads = localWorkloads(model, (file) => resolve(io.cwd, file));
  return planPods(workloads, () => range.take(), before);
}
