// Redis, by @redis/client: a connection that restores itself, and the script of all limits.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { createClient } from '@redis/client';

import { renewal, script } from './script.ts';
import type { StoreSpec } from './shared-store.ts';

/** Questions that wait for an answer; of more, each is refused at once. */
const questionsMax = 10_000;
const connectTimeoutMs = 1000;
const reconnectMaxMs = 500;
const scriptHash = createHash('sha1').update(script).digest('hex');

export interface RedisConnection {
  /** Resolves when it is first connected. */
  readonly ready: Promise<void>;
  /** Questions are answered now. */
  isReady(): boolean;
  /** It leads to a server that takes no writes any more (a failover): make another one. */
  isLost(): boolean;
  /** The script's answers; null when there are none. Never rejects. */
  check(keys: readonly string[], args: readonly string[]): Promise<readonly number[] | null>;
  /** Makes leases last. Never rejects. @param args as script.ts has them */
  renew(keys: readonly string[], args: readonly string[]): Promise<void>;
  /** Gives a lease back. Never rejects. */
  release(key: string, name: string): Promise<void>;
  close(): void;
}

/**
 * Connects in the background, again and again until it is closed.
 *
 * @param onReady called each time that it is connected, also to a server that has forgotten all
 * @throws when the password cannot be read
 */
export async function connectRedis(spec: StoreSpec, onReady: () => void): Promise<RedisConnection> {
  const { address, tls, username, passwordFile } = spec;
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replaceAll(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  const password =
    passwordFile === undefined ? undefined : (await readFile(passwordFile, 'utf8')).trim();
  const socket = {
    host,
    port,
    connectTimeout: connectTimeoutMs,
    noDelay: true,
    reconnectStrategy: (tries: number) => Math.min(20 * 2 ** tries, reconnectMaxMs),
  };
  const client = createClient({
    RESP: 2,
    socket: tls ? { ...socket, tls: true as const, servername: host } : socket,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    commandsQueueMaxLength: questionsMax,
  });
  // What fails is seen where it is asked for.
  client.on('error', () => undefined);
  client.unref();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  client.once('ready', resolve);
  client.on('ready', onReady);
  client.connect().catch(() => undefined);
  let lost = false;
  const run = async (command: string, what: string, rest: string[]): Promise<readonly number[]> =>
    client.sendCommand<number[]>([command, what, ...rest]);
  const evaluate = async (
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly number[] | null> => {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await run('EVALSHA', scriptHash, rest).catch(async (error: unknown) => {
        // It was restarted, or another server took its place.
        if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
        return run('EVAL', script, rest);
      });
    } catch (error) {
      if (/^(READONLY|MASTERDOWN)/.test(messageOf(error))) lost = true;
      return null;
    }
  };
  return {
    ready,
    isReady: () => client.isReady,
    isLost: () => lost,
    check: evaluate,
    // Whole each time: asked a second time after NOSCRIPT, it would come after a release that was sent meanwhile.
    renew: async (keys, args) => {
      await run('EVAL', renewal, [String(keys.length), ...keys, ...args]).catch(() => undefined);
    },
    release: async (key, name) => {
      await client.sendCommand(['ZREM', key, name]).catch(() => undefined);
    },
    close: () => {
      if (client.isOpen) client.destroy();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
