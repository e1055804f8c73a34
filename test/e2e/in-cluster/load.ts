// Constant calls from a pod of the mesh, which remember every one that failed.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

import type { Place } from './cluster.ts';

export interface LoadSummary {
  readonly calls: number;
  /** Every call that got another answer than 200, with when and why. */
  readonly failures: readonly string[];
}

/**
 * Runs in the pod: half of the loops keep their connection, half open one for each call. Ends when its
 * standard input ends.
 */
function loadLoops(url: string): void {
  const http = process.getBuiltinModule('node:http');
  const failures: string[] = [];
  let calls = 0;
  const told = { over: false };
  process.stdin.resume().on('end', () => (told.over = true));
  const call = (agent: InstanceType<typeof http.Agent>): Promise<string> =>
    new Promise((resolve) => {
      const request = http.get(url, { agent, timeout: 5000 }, (response) => {
        response.resume();
        response.on('end', () =>
          resolve(response.statusCode === 200 ? '' : `${response.statusCode}`),
        );
        response.on('error', (error) => resolve(String(error)));
      });
      request.on('timeout', () => request.destroy(new Error('no answer within 5 s')));
      request.on('error', (error) => resolve(String(error)));
    });
  const loop = async (keepAlive: boolean): Promise<void> => {
    const agent = new http.Agent({ keepAlive, maxSockets: 1 });
    while (!told.over) {
      const failure = await call(agent);
      calls += 1;
      if (failure !== '') failures.push(`${new Date().toISOString()} ${failure}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    agent.destroy();
  };
  void Promise.all([true, true, true, false, false, false].map(loop)).then(() =>
    process.stdout.write(JSON.stringify({ calls, failures })),
  );
}

export class Load {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #closed: Promise<unknown>;
  #out = '';
  #err = '';

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child;
    this.#closed = once(child, 'close');
    child.stdout.on('data', (chunk: Buffer) => (this.#out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.#err += chunk.toString()));
  }

  /** @param from a workload with a container `app`: `deployment/web` */
  static start(place: Place, from: string, url: string): Load {
    const script = `(${loadLoops.toString()})(${JSON.stringify(url)})`;
    const args = [
      '-n',
      place.namespace,
      'exec',
      '-i',
      from,
      '-c',
      'app',
      '--',
      'node',
      '-e',
      script,
    ];
    return new Load(spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** @throws Error when the pod or its command ended before */
  async stop(): Promise<LoadSummary> {
    this.#child.stdin.end();
    await this.#closed;
    if (this.#out === '') throw new Error(`the load ended: ${this.#err}`);
    return JSON.parse(this.#out) as LoadSummary;
  }
}
