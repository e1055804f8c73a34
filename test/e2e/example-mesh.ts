// A mesh that tries examples one after the other: each is written into its folder, and taken up while it runs.
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Snapshot } from '#api/snapshot.ts';
import type { LocalPod } from '#cli/up/plan.ts';
import { get } from '#cli/up/readiness.ts';
import type { RawReply } from '#cli/up/send.ts';
import type { ClusterView } from '#sidecar/admin/views.ts';

import { eventually, TestMesh } from './local-mesh.ts';

const data = join(import.meta.dirname, 'data/examples');
const examples = join(import.meta.dirname, '../../manifests/examples');

/** What the program of `data/examples/echo.ts` says of a call. */
export interface Echo {
  readonly app: string;
  readonly pod: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export class ExampleMesh {
  readonly mesh: TestMesh;
  readonly #examples: string;
  readonly #caller: string;
  #round = 0;

  private constructor(mesh: TestMesh, folder: string, caller: string) {
    this.mesh = mesh;
    this.#examples = folder;
    this.#caller = caller;
  }

  /**
   * Starts the services of a folder of examples.
   * @param group `routes`
   * @param caller the workload whose sidecar calls
   * @param edit what has to be written otherwise for this machine: programs, replicas
   */
  static async start(
    { group, caller }: { group: string; caller: string },
    edit: (services: string) => string,
  ): Promise<ExampleMesh> {
    const folder = await mkdtemp(join(tmpdir(), 'selvage-examples-'));
    try {
      await cp(data, folder, { recursive: true });
      const services = await readFile(join(examples, group, 'services.yaml'), 'utf8');
      await writeFile(join(folder, 'services.yaml'), edit(services));
      const mesh = await TestMesh.start(folder);
      return new ExampleMesh(mesh, join(examples, group), caller);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Puts an example in the place of the one before, and waits until the callers' sidecars have it. */
  async use(name: string, edit: (text: string) => string = (text) => text): Promise<void> {
    await this.apply(edit(await readFile(join(this.#examples, name), 'utf8')));
  }

  /** A service that nobody calls comes with each example: whoever knows it has the example too. */
  async apply(text: string): Promise<void> {
    this.#round += 1;
    const mark = `round-${this.#round}.test`;
    const { namespace } = this.mesh.pod(this.#caller);
    const file = join(this.mesh.folder, 'example.yaml');
    await writeFile(`${file}.part`, `${text}\n---\n${markerOf(mark, namespace)}`);
    await rename(`${file}.part`, file);
    for (const pod of this.mesh.running.pods.filter(({ sidecar }) => sidecar !== null)) {
      await eventually(
        () => this.#admin<Snapshot | null>(pod, '/config_dump'),
        (snapshot) => snapshot?.services.some(({ name }) => name === mark) === true,
      );
    }
  }

  call(path: string, options: CallOptions = {}): Promise<RawReply> {
    const { from = this.#caller, method = 'GET', headers = {} } = options;
    return this.mesh.call(from, method, path, Object.entries(headers));
  }

  /** The service that took the call, and what it saw. @throws when none did */
  async echo(path: string, options: CallOptions = {}): Promise<Echo> {
    const { status, body } = await this.call(path, options);
    if (!body.startsWith('{')) throw new Error(`${path} was answered ${status} ${body}`);
    return JSON.parse(body) as Echo;
  }

  /** Sends bytes through a tunnel to `host:port`, and reads to the end. */
  async bytes(authority: string, sent: string): Promise<string> {
    const { sidecar } = this.mesh.pod(this.#caller);
    const socket = connect({ host: '127.0.0.1', port: sidecar?.outbound ?? 0 });
    socket.setTimeout(5000, () => socket.destroy(new Error(`${authority}: nothing came`)));
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n${sent}`);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    await once(socket, 'close');
    return text;
  }

  pods(workload: string): readonly LocalPod[] {
    return this.mesh.running.pods.filter((pod) => pod.workload === workload);
  }

  /** What the caller's sidecar says of a service. @param cluster its beginning: `reviews.atlas.` */
  async cluster(cluster: string): Promise<ClusterView> {
    const views = await this.#admin<ClusterView[]>(this.mesh.pod(this.#caller), '/clusters');
    const found = views.find((view) => view.cluster.startsWith(cluster));
    if (found === undefined) {
      throw new Error(`no cluster ${cluster}: ${views.map((view) => view.cluster).join(', ')}`);
    }
    return found;
  }

  /** The last line like this in the log of the caller's sidecar. */
  async accessLine(isWanted: (line: string) => boolean): Promise<string> {
    const { namespace, name } = this.mesh.pod(this.#caller);
    const file = join(this.mesh.state, 'logs', `${namespace}.${name}.jsonl`);
    const find = async () => (await readFile(file, 'utf8')).split('\n').findLast(isWanted) ?? '';
    return eventually(find, (line) => line !== '');
  }

  async #admin<T>({ sidecar }: LocalPod, path: string): Promise<T> {
    return JSON.parse((await get(`http://127.0.0.1:${sidecar?.admin ?? 0}${path}`)).body) as T;
  }

  stop(): Promise<void> {
    return this.mesh.stop();
  }
}

export interface CallOptions {
  readonly from?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Tells one pod's program, past its sidecar, how to answer from now on. */
export async function behave(pod: LocalPod | undefined, how: string): Promise<void> {
  await fetch(`http://127.0.0.1:${pod?.ports[0]?.app ?? 0}/behave?${how}`, { method: 'PUT' });
}

/** How many calls a pod's program has had. */
export async function seenBy(pod: LocalPod): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${pod.ports[0]?.app ?? 0}/seen`);
  return Number(await response.text());
}

/** Asks so many times, all at once. */
export function times<T>(count: number, ask: (i: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => ask(i)));
}

function markerOf(host: string, namespace: string): string {
  const spec = { hosts: [host], resolution: 'NONE', ports: [{ number: 1, name: 'tcp' }] };
  const metadata = { name: 'round', namespace };
  const apiVersion = 'networking.istio.io/v1';
  return JSON.stringify({ apiVersion, kind: 'ServiceEntry', metadata, spec });
}
