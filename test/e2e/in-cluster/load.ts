// A constant load from pods in the mesh: what each of them counted, and each failure with its time and reason.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { caller, type AppOptions } from './apps.ts';
import { until, type Place } from './cluster.ts';

export interface LoadFailure {
  /** ISO 8601. */
  readonly at: string;
  /** `GET kept`: by which kind of connection. */
  readonly how: string;
  readonly tookMs: number;
  /** A status with its body, or the error of the connection. */
  readonly reason: string;
}

export interface LoadSummary {
  readonly ok: number;
  /** Pods that called and said how it went to the end. */
  readonly pods: number;
  readonly failures: readonly (LoadFailure & { readonly pod: string })[];
  /** Pods that were gone without a summary. */
  readonly silent: readonly string[];
}

/**
 * Calls on kept connections and on new ones until SIGTERM. What fails is printed at once, so that
 * it is known even when the pod is killed; the summary is the last line.
 */
function script(url: string, methods: readonly string[]): string {
  return `
const http = require('node:http');
const url = ${JSON.stringify(url)};
const kept = new http.Agent({ keepAlive: true, maxSockets: 8 });
const fresh = new http.Agent({ keepAlive: false });
let stopping = false;
let ok = 0;
let failed = 0;
function call(method, agent, how) {
  const startedMs = Date.now();
  return new Promise((resolve) => {
    const end = (reason) => {
      if (reason === '') ok += 1;
      else {
        failed += 1;
        const at = new Date().toISOString();
        console.log(JSON.stringify({ failure: { at, how, tookMs: Date.now() - startedMs, reason } }));
      }
      resolve();
    };
    const request = http.request(url, { method, agent, timeout: 15000 }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => end(response.statusCode === 200 ? '' : response.statusCode + ' ' + body.slice(0, 200)));
      response.on('error', (error) => end('answer broke off: ' + error.message));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 15 s')));
    request.on('error', (error) => end(error.code + ' ' + error.message));
    request.end(method === 'POST' ? 'x'.repeat(1000) : undefined);
  });
}
async function loop(method, agent, how) {
  while (!stopping) {
    await call(method, agent, method + ' ' + how);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
const loops = ${JSON.stringify(methods)}.flatMap((method) =>
  [loop(method, kept, 'kept'), loop(method, kept, 'kept'), loop(method, fresh, 'new')]);
const beat = setInterval(() => console.log(JSON.stringify({ ok, failed })), 1000);
process.on('SIGTERM', async () => {
  stopping = true;
  await Promise.all(loops);
  clearInterval(beat);
  console.log(JSON.stringify({ summary: { ok, failed } }));
  process.exit(0);
});
`;
}

export interface LoadOptions extends Partial<AppOptions> {
  readonly url: string;
  readonly methods?: readonly string[];
}

/** A Deployment of callers whose every pod is followed until it ends. */
export class Load {
  readonly name: string;
  readonly #place: Place;
  readonly #failures: (LoadFailure & { pod: string })[] = [];
  /** Of each pod the last count, and whether it was its last word. */
  readonly #counts = new Map<string, { ok: number; whole: boolean }>();
  readonly #followers: Promise<void>[] = [];
  #watching: Promise<void> = Promise.resolve();
  #ended = false;

  private constructor(place: Place, name: string) {
    this.#place = place;
    this.name = name;
  }

  /** Resolves when its pods are ready and calls have been answered. */
  static async start(place: Place, options: LoadOptions): Promise<Load> {
    const { url, methods = ['GET', 'POST'], name = 'load', ...app } = options;
    const load = new Load(place, name);
    await place.apply(...caller({ ...app, name, script: script(url, methods) }));
    load.#watching = load.#watch();
    await place.ready(`deployment/${name}`);
    await load.more(100);
    return load;
  }

  /** Requests answered with 200 until now. */
  get ok(): number {
    let ok = 0;
    for (const count of this.#counts.values()) ok += count.ok;
    return ok;
  }

  /** Waits until so many more were answered: what was done before has met traffic. */
  async more(count: number): Promise<void> {
    const from = this.ok;
    const enough = (): boolean => this.ok >= from + count;
    await until(`${count} more answers`, () => Promise.resolve(this.#failures.at(-1)), enough);
  }

  /** Ends all callers in good order. */
  async end(): Promise<LoadSummary> {
    // Process 1 of a container does not hear a signal that comes before it listens: each has called by then.
    await this.#place.ready(`deployment/${this.name}`);
    await until(
      'each caller to have called',
      () => this.#pods('--field-selector=status.phase=Running'),
      (pods) => pods.every((pod) => (this.#counts.get(pod)?.ok ?? 0) > 0),
      90_000,
    );
    await this.#place.kubectl('scale', `deployment/${this.name}`, '--replicas=0');
    await until(
      'the callers to end',
      () => this.#pods(),
      (pods) => pods.length === 0,
      90_000,
    );
    this.#ended = true;
    await this.#watching;
    await Promise.all(this.#followers);
    const silent = [...this.#counts].filter(([, { whole }]) => !whole).map(([pod]) => pod);
    return { ok: this.ok, pods: this.#counts.size, failures: this.#failures, silent };
  }

  async #watch(): Promise<void> {
    while (!this.#ended) {
      // The API server may be away: that is the test's matter.
      const running = await this.#pods('--field-selector=status.phase=Running').catch(() => []);
      for (const pod of running) {
        if (this.#counts.has(pod)) continue;
        this.#counts.set(pod, { ok: 0, whole: false });
        this.#followers.push(this.#follow(pod));
      }
      await sleep(500);
    }
  }

  async #pods(...args: readonly string[]): Promise<string[]> {
    const selector = `app=${this.name}`;
    const output = await this.#place.kubectl('get', 'pods', '-l', selector, '-o', 'name', ...args);
    return output.split('\n').filter((line) => line !== '');
  }

  #follow(pod: string): Promise<void> {
    const { namespace } = this.#place;
    const args = ['-n', namespace, 'logs', '-f', pod, '-c', 'app'];
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString()).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#take(pod, line);
    });
    return new Promise((resolve) => {
      child.once('close', () => resolve());
    });
  }

  #take(pod: string, line: string): void {
    const said = JSON.parse(line) as {
      ok?: number;
      failure?: LoadFailure;
      summary?: { ok: number };
    };
    if (said.failure !== undefined) this.#failures.push({ pod, ...said.failure });
    else if (said.summary !== undefined) {
      this.#counts.set(pod, { ok: said.summary.ok, whole: true });
    } else this.#counts.set(pod, { ok: said.ok ?? 0, whole: false });
  }
}
