// The whole mesh on one machine: CA, control plane, and for each pod its sidecar and its programs, as child processes.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { sidecarNodeFlags } from '#api/node-flags.ts';

import { type Program, programFile } from '../programs.ts';
import { Guardian } from './guardian.ts';
import { type LocalPod, podKey } from './plan.ts';
import { type PodChanges, podChanges } from './pod-changes.ts';
import { crashText, type MeshEvents, PodRun } from './pod-run.ts';
import { PodFiles } from './pods.ts';
import { Supervised } from './processes.ts';
import { untilReady } from './readiness.ts';
import { sidecarSettings } from './sidecar-settings.ts';
import { LocalTokens } from './tokens.ts';

export interface MeshOptions {
  /** Folders or files of YAML that control reads, as the user names them from `cwd`: messages name them so. */
  readonly resources: readonly string[];
  readonly cwd: string;
  /** Private folder for keys, tokens, pods and logs. */
  readonly state: string;
  /** Its file, where the mesh is told of: removed with the state when the mesh is killed. */
  readonly announcement?: string;
  readonly trustDomain: string;
  readonly ports: {
    readonly ca: number;
    readonly caAdmin: number;
    readonly control: number;
    readonly controlAdmin: number;
  };
  /** Where traces go; '' for nowhere. */
  readonly otlpEndpoint: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly events: MeshEvents;
  /** How long the start waits for programs to listen. */
  readonly patienceMs: number;
  /** Somebody wants it to end although it has not begun yet. */
  readonly interrupted?: AbortSignal;
}

const startTimeoutMs = 30_000;

export class LocalMesh {
  readonly options: MeshOptions;
  readonly #tokens: LocalTokens;
  readonly #podFiles: PodFiles;
  readonly #guardian: Guardian;
  /** CA and control, in the order of their start. */
  readonly #authorities: Supervised[] = [];
  /** In the order of the YAML, by namespace and name. */
  #runs = new Map<string, PodRun>();

  private constructor(options: MeshOptions) {
    this.options = options;
    this.#tokens = new LocalTokens(join(options.state, 'tokens'));
    this.#podFiles = new PodFiles(join(options.state, 'pods'));
    this.#guardian = new Guardian([options.state, options.announcement ?? []].flat());
  }

  /**
   * Starts everything in order and resolves when every pod takes calls, or is known not to for now.
   * @throws what did not start, and its log; when it is interrupted, the signal's reason
   */
  static async start(options: MeshOptions, pods: readonly LocalPod[]): Promise<LocalMesh> {
    const mesh = new LocalMesh(options);
    try {
      await mesh.#start(pods);
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  get pods(): readonly LocalPod[] {
    return [...this.#runs.values()].map(({ pod }) => pod);
  }

  get controlAdmin(): string {
    return `http://127.0.0.1:${this.options.ports.controlAdmin}`;
  }

  /** The file with one JSON line for each request that the pod's sidecar saw. */
  accessLogOf(pod: LocalPod): string {
    return join(this.options.state, 'logs', `${pod.namespace}.${pod.name}.jsonl`);
  }

  /** Pids by process name, for tests that end one of them. */
  pids(): ReadonlyMap<string, number | undefined> {
    return new Map(this.#processes().map((p) => [p.spec.name, p.pid]));
  }

  /** Ends one process for good, as an outage would; @throws for a name that pids() does not have */
  async halt(name: string): Promise<void> {
    const found = this.#processes().find((process) => process.spec.name === name);
    if (found === undefined) throw new Error(`no process ${name}`);
    await found.stop('SIGKILL');
  }

  /**
   * Makes these the pods of the mesh: begins, ends and restarts what differs, and leaves the others alone. One call at
   * a time. Does not wait until programs listen.
   * @throws the first sidecar that did not get ready
   */
  async apply(pods: readonly LocalPod[]): Promise<PodChanges> {
    const changes = podChanges(this.pods, pods);
    const { added, removed, changed } = changes;
    const anew = changed.filter(({ withSidecar }) => withSidecar);
    await Promise.all(
      [...removed, ...anew.map(({ before }) => before)].map((pod) => this.#end(pod)),
    );
    for (const pod of removed) await this.#podFiles.remove(pod);
    const begun = await this.#begin([...added, ...anew.map(({ after }) => after)]);
    this.#keepOnly(pods);
    const ready = await Promise.allSettled(begun.map((run) => this.#sidecarReady(run)));
    for (const [index, run] of begun.entries()) {
      if (ready[index]?.status === 'fulfilled') run.startPrograms();
    }
    const others = changed.filter(({ withSidecar }) => !withSidecar);
    await Promise.all(others.map(({ after }) => this.#restart(after)));
    const failed = ready.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return changes;
  }

  /** Ends programs first, then sidecars, then control and CA. */
  async stop(): Promise<void> {
    this.#tokens.stop();
    const runs = [...this.#runs.values()];
    await Promise.all(runs.map((run) => run.stopPrograms()));
    await Promise.all(runs.map((run) => run.stopSidecar()));
    for (const process of this.#authorities.toReversed()) await process.stop();
    this.#guardian.dismiss();
  }

  async #start(pods: readonly LocalPod[]): Promise<void> {
    const { state, interrupted } = this.options;
    for (const folder of ['tokens', 'pods', 'logs', 'ca', 'control', 'sidecars']) {
      await mkdir(join(state, folder), { recursive: true, mode: 0o700 });
    }
    await this.#tokens.start();
    await this.#startCa();
    for (const pod of pods) await this.#podFiles.write(pod, false);
    await this.#startControl();
    await this.apply(pods);
    const settled = Promise.all([...this.#runs.values()].map((run) => run.settled()));
    await Promise.race([settled, aborted(interrupted)]);
    interrupted?.throwIfAborted();
  }

  /** Sidecars first: programs start behind ready ones, as native sidecars make it in Kubernetes. */
  async #begin(pods: readonly LocalPod[]): Promise<PodRun[]> {
    const { events, environment, patienceMs } = this.options;
    const around = {
      podFiles: this.#podFiles,
      guardian: this.#guardian,
      events,
      environment,
      patienceMs,
    };
    const begun: PodRun[] = [];
    for (const pod of pods) {
      await this.#podFiles.write(pod, false);
      const run = new PodRun(pod, await this.#startSidecar(pod), around);
      // At once, so that stop() knows of it.
      this.#runs.set(podKey(pod), run);
      begun.push(run);
    }
    return begun;
  }

  /** Forgets the others; in the order of the YAML. */
  #keepOnly(pods: readonly LocalPod[]): void {
    const runs = pods.map(podKey).map((key) => [key, this.#runs.get(key)] as const);
    this.#runs = new Map(runs.filter((entry): entry is [string, PodRun] => entry[1] !== undefined));
  }

  async #end(pod: LocalPod): Promise<void> {
    const run = this.#runs.get(podKey(pod));
    await run?.stopPrograms();
    await run?.stopSidecar();
  }

  async #restart(pod: LocalPod): Promise<void> {
    await this.#runs.get(podKey(pod))?.restartPrograms(pod);
  }

  async #sidecarReady({ pod }: PodRun): Promise<void> {
    if (pod.sidecar !== null) await this.#ready(`the sidecar of ${pod.title}`, pod.sidecar.admin);
  }

  #processes(): Supervised[] {
    return [...this.#authorities, ...[...this.#runs.values()].flatMap((run) => run.processes)];
  }

  async #startCa(): Promise<void> {
    const { ports, state, trustDomain } = this.options;
    this.#startAuthority('ca', {
      SELVAGE_CA_LISTEN: `127.0.0.1:${ports.ca}`,
      SELVAGE_CA_ADMIN: `127.0.0.1:${ports.caAdmin}`,
      SELVAGE_CA_DIR: join(state, 'ca'),
      SELVAGE_CA_JWKS_FILE: this.#tokens.jwksFile,
      SELVAGE_CA_AUDIT_FILE: join(state, 'logs', 'audit.jsonl'),
      SELVAGE_TRUST_DOMAIN: trustDomain,
    });
    await this.#ready('the CA', ports.caAdmin);
  }

  async #startControl(): Promise<void> {
    const { ports, resources, state } = this.options;
    const account = { namespace: 'selvage-system', serviceAccount: 'selvage-control' };
    this.#startAuthority('control', {
      SELVAGE_CONTROL_LISTEN: `127.0.0.1:${ports.control}`,
      SELVAGE_CONTROL_ADMIN: `127.0.0.1:${ports.controlAdmin}`,
      SELVAGE_RESOURCES: [...resources, join(state, 'pods')].join(':'),
      SELVAGE_TOKEN_FILE: await this.#tokens.fileFor(account),
      SELVAGE_STATE_DIR: join(state, 'control'),
      ...this.#urls(),
    });
    await this.#ready('control', ports.controlAdmin);
  }

  async #startSidecar(pod: LocalPod): Promise<Supervised | null> {
    if (pod.sidecar === null) return null;
    const own = join(this.options.state, 'sidecars', `${pod.namespace}.${pod.name}`);
    await mkdir(own, { recursive: true, mode: 0o700 });
    return this.#run(`sidecar/${pod.title}`, 'sidecar', {
      ...sidecarSettings(pod, pod.sidecar),
      SELVAGE_TOKEN_FILE: await this.#tokens.fileFor(pod),
      SELVAGE_STATE_DIR: own,
      SELVAGE_ACCESS_LOG: this.accessLogOf(pod),
      SELVAGE_OTLP_ENDPOINT: this.options.otlpEndpoint,
      ...this.#urls(),
    });
  }

  #startAuthority(name: 'ca' | 'control', settings: Readonly<Record<string, string>>): void {
    this.#authorities.push(this.#run(`${name}/${name}`, name, settings));
  }

  #run(name: string, program: Program, settings: Readonly<Record<string, string>>): Supervised {
    const { events, environment, cwd } = this.options;
    const flags = program === 'sidecar' ? sidecarNodeFlags : [];
    return new Supervised({
      name,
      argv: [process.execPath, ...flags, programFile(program)],
      cwd,
      env: {
        PATH: environment['PATH'] ?? '',
        SELVAGE_LOG_LEVEL: environment['SELVAGE_LOG_LEVEL'] ?? 'warn',
        ...settings,
      },
      guardian: this.#guardian,
      onLine: (line) => events.log(name, line),
      onCrash: (reason, restartMs) => events.note(crashText(name, reason, restartMs)),
    });
  }

  #urls(): Record<string, string> {
    const { ports } = this.options;
    return {
      SELVAGE_CA: `https://127.0.0.1:${ports.ca}`,
      SELVAGE_CONTROL: `https://127.0.0.1:${ports.control}`,
      SELVAGE_TRUST_BUNDLE_FILE: this.#trustBundleFile,
    };
  }

  get #trustBundleFile(): string {
    return join(this.options.state, 'ca', 'trust-bundle.pem');
  }

  async #ready(name: string, adminPort: number): Promise<void> {
    const { interrupted } = this.options;
    await untilReady(name, `http://127.0.0.1:${adminPort}/ready`, startTimeoutMs, interrupted);
  }
}

/** Never rejects: whoever waits asks the signal itself. */
function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
