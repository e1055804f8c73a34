// A mesh that runs, with what a person wants of it: calls sent, traffic shown, edits followed.
import { resolve } from 'node:path';

import { type PolicyTestSpec, policyTestSpec } from '#api/kinds/policy-test.ts';

import { frontOf } from '../calls/call.ts';
import type { MeshModel } from '../calls/model.ts';
import type { Io } from '../io.ts';
import { paint } from '../table.ts';
import { Edits } from './edits.ts';
import { untilKeysAreThere } from './enforced.ts';
import { LocalMesh } from './mesh.ts';
import { MeshLog } from './mesh-log.ts';
import { type LocalPod, planPods } from './plan.ts';
import { PortRange } from './ports.ts';
import {
  eventually,
  type LiveCall,
  type LiveResult,
  sendLive,
  type ServiceName,
} from './scenario.ts';
import { JsonTail } from './tail.ts';
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
  readonly model: MeshModel;
  readonly otlpEndpoint: string;
  readonly firstPort: number;
}

export interface SentCall extends LiveResult {
  /** `expected deny, got allow`; '' when it went as expected. */
  readonly difference: string;
}

type TestCall = PolicyTestSpec['calls'][number];

/** Lines of each sidecar that are kept to look a call up in. */
const linesKept = 512;
const keysWaitMs = 10_000;

export class RunningMesh {
  readonly pods: readonly LocalPod[];
  readonly services: readonly NamedService[];
  readonly #mesh: LocalMesh;
  readonly #options: RunningOptions;
  readonly #io: Io;
  readonly #lines = new Map<LocalPod, AccessLine[]>();
  readonly #tails: JsonTail[] = [];
  #edits: Edits | null = null;
  #following = false;

  private constructor(mesh: LocalMesh, options: RunningOptions, io: Io) {
    this.#mesh = mesh;
    this.#options = options;
    this.#io = io;
    this.pods = mesh.options.pods;
    this.services = this.pods.flatMap((pod) => this.#servicesOf(pod));
    for (const pod of this.pods) this.#watch(pod);
  }

  static async start(options: RunningOptions, io: Io): Promise<RunningMesh> {
    const { shown, model, state, otlpEndpoint, firstPort } = options;
    const range = new PortRange(firstPort);
    const take = (): Promise<number> => range.take();
    const ports = {
      ca: await take(),
      caAdmin: await take(),
      control: await take(),
      controlAdmin: await take(),
    };
    const pods = await planPods(
      localWorkloads(model, (file) => resolve(io.cwd, file)),
      take,
    );
    const log = new MeshLog((text) => io.stdout.write(text), io.tty);
    const starting = LocalMesh.start({
      resources: [shown],
      cwd: io.cwd,
      state,
      pods,
      trustDomain: model.resources.meshConfig.trustDomain,
      ports,
      otlpEndpoint,
      environment: process.env,
      events: {
        line: (name, line) => io.stdout.write(`${paint(`${name} |`, 'dim', io.tty)} ${line}\n`),
        log: (name, line) => log.take(name, line),
        note: (text) => io.stdout.write(`${paint('!', 'yellow', io.tty)} ${text}\n`),
      },
    });
    const mesh = await starting.catch((error: unknown) => {
      log.failed();
      throw error;
    });
    const left = await untilKeysAreThere(mesh.controlAdmin, keysWaitMs);
    log.up();
    for (const problem of left) io.stdout.write(`${paint('!', 'yellow', io.tty)} ${problem}\n`);
    return new RunningMesh(mesh, options, io);
  }

  /** Pids by process name: `ca/ca`, `control/control`, `sidecar/web-0`, `app/web-0`. */
  pids(): ReadonlyMap<string, number | undefined> {
    return this.#mesh.pids();
  }

  /** Ends one process for good, as an outage would. */
  halt(name: string): Promise<void> {
    return this.#mesh.halt(name);
  }

  /** Makes every HTTP call of the PolicyTests, in order. */
  async send(model: MeshModel): Promise<SentCall[]> {
    const results: SentCall[] = [];
    for (const call of testCalls(model)) {
      if (call.tcp === true) continue;
      const headers = await this.#headersOf(call);
      const result = await sendLive(this.#live(), liveCall(call, headers));
      results.push({ ...result, difference: differenceOf(call, result) });
    }
    return results;
  }

  /** From now on shows traffic as it happens, and what edits of the YAML change. */
  follow(): void {
    this.#following = true;
    const { folder, shown, model } = this.#options;
    this.#edits = new Edits({
      folder,
      shown,
      model,
      io: this.#io,
      controlAdmin: this.#mesh.controlAdmin,
    });
  }

  async stop(): Promise<void> {
    this.#edits?.stop();
    for (const tail of this.#tails) tail.stop();
    await this.#mesh.stop();
  }

  #watch(pod: LocalPod): void {
    const kept: AccessLine[] = [];
    this.#lines.set(pod, kept);
    const tail = new JsonTail(this.#mesh.accessLogOf(pod), (raw) => {
      const line = accessLine(raw);
      kept.push(line);
      if (kept.length > linesKept) kept.shift();
      if (!this.#following) return;
      const text = describeTraffic(pod, line, this.#io.tty);
      if (text !== null) this.#io.stdout.write(`${text}\n`);
    });
    this.#tails.push(tail);
  }

  #live() {
    return {
      pods: this.pods,
      serviceOf: (pod: LocalPod, port: number): ServiceName | null =>
        this.#servicesOf(pod).find((service) => service.targetPort === port) ?? null,
      findLine: (pod: LocalPod, matches: (line: AccessLine) => boolean) =>
        eventually(async () => this.#lines.get(pod)?.find(matches) ?? null),
    };
  }

  #servicesOf(pod: LocalPod): (NamedService & { readonly targetPort: number })[] {
    const { model } = this.#options;
    const workload = model.workloads.find(
      (w) => w.namespace === pod.namespace && w.name === pod.workload,
    );
    if (workload === undefined) return [];
    return pod.ports.flatMap(({ port }) => {
      const front = frontOf(model, workload, port);
      if (front === null) return [];
      return [{ host: `${front.name}.${pod.namespace}`, port: front.port, pod, targetPort: port }];
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

/** The calls of the folder's PolicyTests, in order. */
export function testCalls(model: MeshModel): TestCall[] {
  return model.tests.flatMap(({ document }) => {
    const spec = policyTestSpec.safeParse(document['spec']);
    return spec.success ? spec.data.calls : [];
  });
}

function liveCall(call: TestCall, headers: LiveCall['headers']): LiveCall {
  const { from, to, port = 0, method = 'GET', path = '/', host = '' } = call;
  const name = call.name ?? `${method} ${path} from ${from} to ${to}`;
  return { name, from, to, port, method, path, host, headers };
}

function differenceOf(call: TestCall, result: LiveResult): string {
  if (result.unsent !== '') return result.unsent;
  const got = decisionOf(result);
  return got === call.expect ? '' : `expected ${call.expect}, got ${got}`;
}

/** By the status, unless the application itself answered: its 404 is no refusal of ours. */
function decisionOf({ reply, line }: LiveResult): string {
  if (line?.details === 'via_upstream') return 'allow';
  const words: Readonly<Record<number, string>> = {
    0: 'closed',
    400: 'badrequest',
    401: 'unauthenticated',
    403: 'deny',
  };
  return words[reply.status] ?? (reply.status < 400 ? 'allow' : `status ${reply.status}`);
}
