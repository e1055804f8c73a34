// The whole mesh on one machine: CA, control plane, and for each pod its sidecar and its programs, as child processes.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { environmentOf } from './environment.ts';
import type { LocalPod, LocalProgram } from './plan.ts';
import { PodFiles } from './pods.ts';
import { type ProcessSpec, Supervised } from './processes.ts';
import { untilListening, untilReady } from './readiness.ts';
import { LocalTokens } from './tokens.ts';

/** What a person is told while the mesh runs. */
export interface MeshEvents {
  /** A line that a program of the user's printed. */
  line(process: string, line: string): void;
  /** A line that a process of the mesh printed. */
  log(process: string, line: string): void;
  /** Something that the person should know: a crash, a program to start by hand. */
  note(text: string): void;
}

export interface MeshOptions {
  /** Folders or files of YAML that control reads, as the user names them from `cwd`: messages name them so. */
  readonly resources: readonly string[];
  readonly cwd: string;
  /** Private folder for keys, tokens, pods and logs. */
  readonly state: string;
  readonly pods: readonly LocalPod[];
  readonly trustDomain: string;
  readonly ports: {
    readonly ca: number;
    readonly caAdmin: number;
    readonly control: number;
    readonly controlAdmin: number;
  };
  /** Where traces go, OTLP over HTTP; '' for nowhere. */
  readonly otlpEndpoint: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly events: MeshEvents;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const startTimeoutMs = 30_000;

export class LocalMesh {
  readonly options: MeshOptions;
  readonly #tokens: LocalTokens;
  readonly #podFiles: PodFiles;
  /** In the order of their start. */
  readonly #processes: Supervised[] = [];

  private constructor(options: MeshOptions) {
    this.options = options;
    this.#tokens = new LocalTokens(join(options.state, 'tokens'));
    this.#podFiles = new PodFiles(join(options.state, 'pods'));
  }

  /** Starts everything in order and resolves when every sidecar is ready. @throws what did not start, and its log */
  static async start(options: MeshOptions): Promise<LocalMesh> {
    const mesh = new LocalMesh(options);
    try {
      await mesh.#start();
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
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
    return new Map(this.#processes.map((p) => [p.spec.name, p.pid]));
  }

  /** Ends one process for good, as an outage would; @throws for a name that pids() does not have */
  async halt(name: string): Promise<void> {
    const found = this.#processes.find((process) => process.spec.name === name);
    if (found === undefined) throw new Error(`no process ${name}`);
    await found.stop('SIGKILL');
  }

  /** Ends programs first, then sidecars, then control and CA. */
  async stop(): Promise<void> {
    this.#tokens.stop();
    const layers = ['app', 'sidecar', 'control', 'ca'];
    for (const layer of layers) {
      const ofLayer = this.#processes.filter((p) => p.spec.name.startsWith(`${layer}/`));
      await Promise.all(ofLayer.map((p) => p.stop()));
    }
  }

  async #start(): Promise<void> {
    const { state, pods } = this.options;
    for (const folder of ['tokens', 'pods', 'logs', 'ca', 'control', 'sidecars']) {
      await mkdir(join(state, folder), { recursive: true, mode: 0o700 });
    }
    await this.#tokens.start();
    await this.#startCa();
    for (const pod of pods) await this.#podFiles.write(pod, false);
    await this.#startControl();
    const meshed = pods.filter((pod) => pod.sidecar !== null);
    for (const pod of meshed) await this.#startSidecar(pod);
    // Programs start behind ready sidecars, as native sidecars make it in Kubernetes: their first call goes through.
    await Promise.all(meshed.map((pod) => this.#ready(pod.name, pod.sidecar?.admin ?? 0)));
    await Promise.all(pods.map((pod) => this.#startPrograms(pod)));
  }

  async #startCa(): Promise<void> {
    const { ports, state, trustDomain } = this.options;
    this.#run('ca/ca', 'ca/main.ts', {
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
    this.#run('control/control', 'control/main.ts', {
      SELVAGE_CONTROL_LISTEN: `127.0.0.1:${ports.control}`,
      SELVAGE_CONTROL_ADMIN: `127.0.0.1:${ports.controlAdmin}`,
      SELVAGE_RESOURCES: [...resources, join(state, 'pods')].join(':'),
      SELVAGE_TOKEN_FILE: await this.#tokens.fileFor(account),
      SELVAGE_STATE_DIR: join(state, 'control'),
      ...this.#authorities(),
    });
    await this.#ready('control', ports.controlAdmin);
  }

  async #startSidecar(pod: LocalPod): Promise<void> {
    if (pod.sidecar === null) return;
    const own = join(this.options.state, 'sidecars', `${pod.namespace}.${pod.name}`);
    await mkdir(own, { recursive: true, mode: 0o700 });
    this.#run(`sidecar/${pod.name}`, 'sidecar/main.ts', {
      SELVAGE_NAMESPACE: pod.namespace,
      SELVAGE_WORKLOAD: pod.workload,
      SELVAGE_POD: pod.name,
      SELVAGE_SERVICE_ACCOUNT: pod.serviceAccount,
      SELVAGE_TOKEN_FILE: await this.#tokens.fileFor(pod),
      SELVAGE_STATE_DIR: own,
      SELVAGE_CAPTURE: 'explicit',
      SELVAGE_INBOUND: pod.ports
        .map((p) => `127.0.0.1:${p.listen}=${p.port}>127.0.0.1:${p.app}`)
        .join(','),
      SELVAGE_OUTBOUND: `127.0.0.1:${pod.sidecar.outbound}`,
      SELVAGE_ADMIN: `127.0.0.1:${pod.sidecar.admin}`,
      SELVAGE_ACCESS_LOG: this.accessLogOf(pod),
      SELVAGE_ACCESS_LOG_FORMAT: 'json',
      SELVAGE_OTLP_ENDPOINT: this.options.otlpEndpoint,
      SELVAGE_TRACE_SAMPLING: '1',
      ...this.#authorities(),
    });
  }

  async #startPrograms(pod: LocalPod): Promise<void> {
    for (const program of pod.programs) this.#startProgram(pod, program);
    // A program that never listens is noted below, and keeps nobody else from starting.
    if (pod.programs.every((program) => program.argv.length > 0)) {
      await Promise.allSettled(pod.ports.map((p) => untilListening(p.app, startTimeoutMs)));
    }
  }

  #startProgram(pod: LocalPod, program: LocalProgram): void {
    const { events, environment } = this.options;
    if (program.argv.length === 0) {
      const at = pod.ports.map((p) => `127.0.0.1:${p.app} (its port ${p.port})`).join(', ');
      events.note(
        `${pod.name}: container ${program.container} has no command; start it yourself, listening on ${at}`,
      );
      return;
    }
    const name = `app/${pod.name}${pod.programs.length > 1 ? `/${program.container}` : ''}`;
    this.#supervise({
      name,
      argv: program.argv,
      cwd: program.cwd,
      env: environmentOf(pod, program.variables, environment),
      onLine: (line) => events.line(name, line),
      onStart: () => void this.#readyWhenListening(pod),
      onCrash: (reason, restartMs) => {
        events.note(crashText(name, reason, restartMs));
        // As a kubelet does: endpoints without this pod go out to every caller.
        void this.#podFiles.write(pod, false);
      },
    });
  }

  /** At the start and after each restart: the pod takes calls once its ports do. */
  async #readyWhenListening(pod: LocalPod): Promise<void> {
    try {
      await Promise.all(pod.ports.map((port) => untilListening(port.app, startTimeoutMs)));
      await this.#podFiles.write(pod, true);
    } catch (error) {
      this.options.events.note(`${pod.name}: ${String(error)}`);
    }
  }

  #run(name: string, main: string, settings: Readonly<Record<string, string>>): void {
    const { events, environment, cwd } = this.options;
    this.#supervise({
      name,
      argv: [process.execPath, join(root, main)],
      cwd,
      env: {
        PATH: environment['PATH'] ?? '',
        SELVAGE_LOG_LEVEL: environment['SELVAGE_LOG_LEVEL'] ?? 'warn',
        ...settings,
      },
      onLine: (line) => events.log(name, line),
      onCrash: (reason, restartMs) => events.note(crashText(name, reason, restartMs)),
    });
  }

  #supervise(spec: ProcessSpec): void {
    this.#processes.push(new Supervised(spec));
  }

  #authorities(): Record<string, string> {
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
    await untilReady(name, `http://127.0.0.1:${adminPort}/ready`, startTimeoutMs);
  }
}

function crashText(name: string, reason: string, restartMs: number): string {
  return `${name} ${reason}; starting it again in ${(restartMs / 1000).toFixed(1)} s`;
}
