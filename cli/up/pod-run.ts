// One pod of a local mesh as it runs: its sidecar, its programs, and whether it takes calls yet.
import { setTimeout as sleep } from 'node:timers/promises';

import { environmentOf } from './environment.ts';
import type { Guardian } from './guardian.ts';
import type { LocalPod, LocalPort, LocalProgram } from './plan.ts';
import type { PodFiles } from './pods.ts';
import { Supervised } from './processes.ts';
import { accepts } from './readiness.ts';

/** What a person is told while the mesh runs. */
export interface MeshEvents {
  /** A line that a program of the user's printed. */
  line(process: string, line: string): void;
  /** A line that a process of the mesh printed. */
  log(process: string, line: string): void;
  /** Something that the person should know: a crash, a program to start by hand. */
  note(text: string): void;
}

export interface PodSurroundings {
  readonly podFiles: PodFiles;
  readonly guardian: Guardian;
  readonly events: MeshEvents;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Nobody waits longer than this for a pod; it goes on being looked at. */
  readonly patienceMs: number;
}

/** A program that does not listen by then is told of. */
const slowMs = 5000;
/** Where some ports listen and others do not by then, the others hardly ever will. */
const someMs = 10_000;
/** A program that ends again and again keeps nobody waiting. */
const crashesMax = 3;

export class PodRun {
  #pod: LocalPod;
  readonly #around: PodSurroundings;
  readonly #sidecar: Supervised | null;
  #programs: Supervised[] = [];
  readonly #down = new Set<string>();
  #crashes = 0;
  /** Counts starts and crashes: who looks at an older state is to stop. */
  #generation = 0;
  #settled = Promise.withResolvers<void>();

  /** The pod's file must have been written. @param sidecar started already; null for a pod outside the mesh */
  constructor(pod: LocalPod, sidecar: Supervised | null, around: PodSurroundings) {
    this.#pod = pod;
    this.#sidecar = sidecar;
    this.#around = around;
  }

  get pod(): LocalPod {
    return this.#pod;
  }

  get processes(): readonly Supervised[] {
    return this.#sidecar === null ? this.#programs : [this.#sidecar, ...this.#programs];
  }

  /** Resolves when the pod takes calls, or when it is of no use to wait for that any longer. */
  settled(): Promise<void> {
    return this.#settled.promise;
  }

  startPrograms(): void {
    for (const program of this.#pod.programs) this.#startProgram(program);
    void this.#look();
  }

  /** The same pod with other programs, labels or variables; its sidecar goes on. */
  async restartPrograms(pod: LocalPod): Promise<void> {
    await this.stopPrograms();
    this.#pod = pod;
    this.#down.clear();
    this.#crashes = 0;
    this.#settled = Promise.withResolvers<void>();
    await this.#around.podFiles.write(pod, false);
    this.startPrograms();
  }

  /** Nobody waits for it any more. */
  async stopPrograms(): Promise<void> {
    this.#generation += 1;
    this.#settled.resolve();
    await Promise.all(this.#programs.map((program) => program.stop()));
    this.#programs = [];
  }

  async stopSidecar(): Promise<void> {
    await this.#sidecar?.stop();
  }

  #startProgram(program: LocalProgram): void {
    const { events, environment, guardian } = this.#around;
    const pod = this.#pod;
    if (program.argv.length === 0) {
      events.note(noCommand(pod, program.container));
      return;
    }
    const name = `app/${pod.title}${pod.programs.length > 1 ? `/${program.container}` : ''}`;
    const started = new Supervised({
      name,
      argv: program.argv,
      cwd: program.cwd,
      env: environmentOf(pod, program.variables, environment),
      guardian,
      onLine: (line) => events.line(name, line),
      onStart: () => {
        if (this.#down.delete(name)) void this.#look();
      },
      onCrash: (reason, restartMs) => {
        events.note(crashText(name, reason, restartMs));
        this.#down.add(name);
        this.#crashes += 1;
        if (this.#crashes >= crashesMax) this.#settled.resolve();
        // As a kubelet does: endpoints without this pod go out to every caller.
        void this.#look();
      },
    });
    this.#programs.push(started);
  }

  /** Looks until the pod takes calls, or until its programs start or end anew. */
  async #look(): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const old = (): boolean => generation !== this.#generation;
    if (this.#down.size > 0) return this.#tell(false);
    const startedAtMs = performance.now();
    let told = false;
    for (;;) {
      const deaf = await deafPorts(this.#pod);
      if (old()) return;
      const waitedMs = performance.now() - startedAtMs;
      const some = deaf.length < this.#pod.ports.length && waitedMs > someMs;
      if (deaf.length === 0 || some) return this.#tell(true);
      if (waitedMs > slowMs && !told) {
        told = true;
        // Who starts the program by hand was told where it is to listen.
        if (this.#programs.length > 0) await this.#tellDeaf(deaf);
        else this.#settled.resolve();
      }
      if (waitedMs > this.#around.patienceMs) this.#settled.resolve();
      await sleep(waitedMs < slowMs ? 50 : 500);
      if (old()) return;
    }
  }

  async #tell(ready: boolean): Promise<void> {
    try {
      await this.#around.podFiles.write(this.#pod, ready);
    } catch (error) {
      this.#around.events.note(`${this.#pod.title}: ${String(error)}`);
    }
    if (ready) this.#settled.resolve();
  }

  async #tellDeaf(ports: readonly LocalPort[]): Promise<void> {
    for (const { port, app } of ports) {
      const variable = this.#pod.ports.length === 1 ? '$PORT' : `$PORT_${port}`;
      const own = port !== app && (await accepts(port));
      const hint = own ? `; something listens on ${port} itself: is that this program?` : '';
      const where = `on 127.0.0.1:${app} (${variable}, its port ${port})`;
      this.#around.events.note(`${this.#pod.title} does not listen ${where} yet${hint}`);
    }
  }
}

export function crashText(name: string, reason: string, restartMs: number): string {
  return `${name} ${reason}; starting it again in ${(restartMs / 1000).toFixed(1)} s`;
}

async function deafPorts({ ports }: LocalPod): Promise<LocalPort[]> {
  const answers = await Promise.all(ports.map(({ app }) => accepts(app)));
  return ports.filter((_, i) => answers[i] !== true);
}

function noCommand(pod: LocalPod, container: string): string {
  const at = pod.ports.map((p) => `127.0.0.1:${p.app} (its port ${p.port})`).join(', ');
  const listening = at === '' ? '' : `, listening on ${at}`;
  const proxy = pod.sidecar === null ? '' : `, HTTP_PROXY=http://127.0.0.1:${pod.sidecar.outbound}`;
  return `${pod.title}: container ${container} has no command; start it yourself${listening}${proxy}`;
}
