// The cluster that KUBECONFIG names, as its user drives it: by kubectl. Selvage is installed in it (setup.ts).
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';

import { describe } from 'vitest';

import type { KubeObject } from '#runtime/kubernetes/client.ts';

const run = promisify(execFile);

export const kubeconfig = process.env['KUBECONFIG'] ?? '';

/** A group of tests that needs a cluster with nodes; without one it is skipped, as setup.ts says. */
export const describeInCluster: typeof describe.skip = kubeconfig === '' ? describe.skip : describe;

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a person would see of `kubectl …`. */
export async function kubectlOutcome(args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status: status ?? 1, stdout, stderr };
}

/** @throws Error with what kubectl said */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('kubectl', args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

export async function apply(yaml: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await kubectlOutcome(['apply', '-f', '-', ...args], yaml);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Asks until it is so; the last answer or error is told otherwise. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  isSo: (answer: T) => boolean,
  timeoutMs = 60_000,
): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  let last: unknown = null;
  while (Date.now() < endMs) {
    try {
      const answer = await ask();
      if (isSo(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    await sleep(250);
  }
  throw new Error(`did not come about within ${timeoutMs} ms: ${what}; last: ${inspect(last)}`);
}

/** A namespace of a test file's own. */
export class Place {
  readonly namespace: string;

  private constructor(namespace: string) {
    this.namespace = namespace;
  }

  static async create(name: string, labels: Readonly<Record<string, string>> = {}): Promise<Place> {
    const namespace = `${name}-${Math.random().toString(36).slice(2, 7)}`;
    await apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace, labels },
      }),
    );
    return new Place(namespace);
  }

  /** Does not wait for its end. */
  async remove(): Promise<void> {
    await kubectl('delete', 'namespace', this.namespace, '--wait=false');
  }

  apply(...objects: readonly object[]): Promise<string> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    return apply(JSON.stringify(list), '-n', this.namespace);
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl('-n', this.namespace, ...args);
  }

  /** Waits until a workload is rolled out: `deployment/web`. */
  async ready(...workloads: readonly string[]): Promise<void> {
    for (const workload of workloads) {
      await this.kubectl('rollout', 'status', workload, '--timeout=120s');
    }
  }

  /** Waits until every sidecar enforces a policy: `authorizationpolicy/no-web`. */
  async enforced(policy: string): Promise<void> {
    await this.kubectl('wait', '--for=condition=Enforced', policy, '--timeout=60s');
  }

  /** The name of a workload's pod that is not on its way out; the first of several. */
  async podOf(app: string): Promise<string> {
    const list = await this.kubectl('get', 'pods', '-l', `app=${app}`, '-o', 'json');
    const { items } = JSON.parse(list) as { items: KubeObject[] };
    const living = items.find(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (living === undefined) throw new Error(`no pod of ${app}`);
    return living.metadata.name;
  }

  /** Runs a command in the application's container. */
  exec(target: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl('exec', target, '-c', 'app', '--', ...command);
  }

  /** The status that a call from there gets; 0: none. */
  async call(target: string, url: string, method = 'GET'): Promise<number> {
    const script = `fetch(${JSON.stringify(url)}, { method: ${JSON.stringify(method)}, signal: AbortSignal.timeout(5000) })
      .then((reply) => console.log(reply.status), () => console.log(0))`;
    return Number(await this.exec(target, 'node', '-e', script));
  }
}

/** How often the kubelet has started the sidecar of a pod again. */
export async function sidecarRestarts(place: Place, pod: string): Promise<number> {
  const path = `{.status.initContainerStatuses[?(@.name=="selvage-proxy")].restartCount}`;
  return Number(await place.kubectl('get', 'pod', pod, '-o', `jsonpath=${path}`));
}

/**
 * kill -9 of the sidecar's process, from the application's container: of a pod with `sharesProcesses`,
 * since process 1 of a container cannot be killed from inside.
 */
export async function killSidecar(place: Place, pod: string): Promise<void> {
  const script = `
    const fs = require('node:fs');
    const isSidecar = (id) => {
      if (id === process.pid) return false;
      try { return fs.readFileSync('/proc/' + id + '/cmdline', 'utf8').includes('/app/sidecar/main.js'); } catch { return false; }
    };
    const ids = fs.readdirSync('/proc').map(Number).filter((id) => id > 0 && isSidecar(id));
    if (ids.length === 0) throw new Error('no sidecar runs');
    for (const id of ids) process.kill(id, 'SIGKILL');`;
  await place.exec(pod, 'node', '-e', script);
}
