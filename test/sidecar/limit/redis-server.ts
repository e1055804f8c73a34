// A real redis-server for a test, on loopback, without a file.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from '#test/free-port.ts';

/** Tests that need it are left out where it is not installed. */
export const redisIsMissing = spawnSync('redis-server', ['--version']).status !== 0;
export const redisMissingText = redisIsMissing
  ? ' (left out: there is no redis-server; apt-get install redis-server)'
  : '';

export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(port: number, process: ChildProcess) {
    this.port = port;
    this.#process = process;
  }

  /** @param extra further arguments, as `--replicaof` */
  static async start(port?: number, extra: readonly string[] = []): Promise<RedisServer> {
    const own = port ?? (await freePort());
    const plain = ['--save', '', '--appendonly', 'no', '--bind', '127.0.0.1'];
    const process = spawn('redis-server', ['--port', String(own), ...plain, ...extra], {
      stdio: 'ignore',
    });
    const server = new RedisServer(own, process);
    for (let tries = 0; !(await answers(own)); tries++) {
      if (tries > 250) {
        await server.stop();
        throw new Error('redis-server does not begin to listen');
      }
      await sleep(20);
    }
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** It keeps its connections and answers nothing. */
  hang(): void {
    this.#process.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  /** A command by hand. @returns all that comes back */
  async command(...words: string[]): Promise<string> {
    return ask(this.port, `${words.join(' ')}\r\n`);
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    return /^(\+PONG|-NOAUTH)/.test(await ask(port, 'PING\r\n'));
  } catch {
    return false;
  }
}

function ask(port: number, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(port, '127.0.0.1', () => socket.write(text));
  socket.once('data', (data) => {
    resolve(data.toString());
    socket.destroy();
  });
  socket.once('error', reject);
  return promise;
}
