// Pods without a cluster: network namespaces on a bridge, each with an agent of the test in it.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Answer, Order } from './namespace-agent.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** Why there can be no namespaces here; '' when there can. */
export async function namespacesMissing(): Promise<string> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  try {
    for (const program of ['iptables-nft', 'iptables-legacy', 'setpriv']) {
      await execute(program, ['--version']);
    }
    const name = `selvage-look-${process.pid}`;
    await execute('ip', ['netns', 'add', name]);
    await execute('ip', ['netns', 'del', name]);
    return '';
  } catch (error) {
    return `needs ip, iptables and setpriv: ${error instanceof Error ? error.message : ''}`;
  }
}

export class Namespace {
  readonly name: string;
  readonly ip: string;
  readonly ip6: string;
  #agent: ChildProcess | null = null;
  #next = 0;

  constructor(name: string, ip: string, ip6: string) {
    this.name = name;
    this.ip = ip;
    this.ip6 = ip6;
  }

  /** What runs a program in here, as the sidecar's user when asked. */
  prefix(uid?: number): string[] {
    const inside = ['ip', 'netns', 'exec', this.name];
    if (uid === undefined) return inside;
    return [...inside, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  }

  async run(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    const [first = '', ...rest] = [...this.prefix(), program, ...args];
    const options = { cwd: root, env: { ...process.env, ...env } };
    return (await execute(first, rest, options)).stdout;
  }

  /** `node sidecar/capture/capture-init.ts`. */
  captureInit(env: NodeJS.ProcessEnv = {}, args: readonly string[] = []): Promise<string> {
    return this.run(process.execPath, ['sidecar/capture/capture-init.ts', ...args], env);
  }

  async start(): Promise<void> {
    const [program, ...args] = [
      ...this.prefix(),
      process.execPath,
      join(import.meta.dirname, 'namespace-agent.ts'),
    ];
    const agent = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#agent = agent;
    await once(agent, 'spawn');
  }

  async tell(order: Order): Promise<Answer> {
    const agent = this.#agent;
    if (agent === null) throw new Error('not started');
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const id = this.#next++;
    const hear = (message: unknown): void => {
      const { id: told, answer } = message as { id: number; answer: Answer };
      if (told !== id) return;
      agent.off('message', hear);
      resolve(answer);
    };
    agent.on('message', hear);
    agent.send({ id, order });
    return promise;
  }

  call(host: string, port: number, send: string): Promise<Answer> {
    return this.tell({ kind: 'call', host, port, send });
  }

  get(host: string, port: number, path = '/', name = 'payments'): Promise<Answer> {
    return this.call(
      host,
      port,
      `GET ${path} HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`,
    );
  }

  /** What programs in here have as /etc/resolv.conf, those that are started from now on. */
  async resolvConf(text: string): Promise<void> {
    const folder = `/etc/netns/${this.name}`;
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/resolv.conf`, text);
  }

  async close(): Promise<void> {
    const agent = this.#agent;
    if (agent !== null && agent.exitCode === null && agent.signalCode === null) {
      agent.kill('SIGKILL');
      await once(agent, 'exit');
    }
    await execute('ip', ['netns', 'del', this.name]);
    await rm(`/etc/netns/${this.name}`, { recursive: true, force: true });
  }
}

/** A router, which is also the world outside, and pods behind it. */
export async function makeNamespaces(
  names: readonly string[],
  resolvConf = '',
): Promise<{ outside: Namespace; pods: Namespace[] }> {
  const outside = new Namespace(unique('out'), '10.77.0.1', 'fd77::1');
  await execute('ip', ['netns', 'add', outside.name]);
  await outside.run('sh', ['-c', outsideScript]);
  await outside.start();
  const pods: Namespace[] = [];
  for (const [i, name] of names.entries()) {
    const pod = new Namespace(unique(name), `10.77.0.${i + 10}`, `fd77::${i + 10}`);
    await execute('ip', ['netns', 'add', pod.name]);
    await outside.run('sh', ['-c', linkScript(i, pod)]);
    await pod.run('sh', ['-c', podScript(pod)]);
    if (resolvConf !== '') await pod.resolvConf(resolvConf);
    await pod.start();
    pods.push(pod);
  }
  return { outside, pods };
}

function unique(name: string): string {
  return `sv${process.pid}-${name}`;
}

const outsideScript = `set -e
ip link set lo up
ip link add br0 type bridge
ip addr add 10.77.0.1/24 dev br0
ip addr add fd77::1/64 dev br0 nodad
ip link set br0 up`;

function linkScript(i: number, pod: Namespace): string {
  return `set -e
ip link add p${i} type veth peer name eth0 netns ${pod.name}
ip link set p${i} master br0 up`;
}

function podScript({ ip, ip6 }: Namespace): string {
  return `set -e
ip link set lo up
ip addr add ${ip}/24 dev eth0
ip addr add ${ip6}/64 dev eth0 nodad
ip link set eth0 up
ip route add default via 10.77.0.1
ip -6 route add default via fd77::1`;
}
