// Hot upgrade: the next version listens on the same ports, then tells this one to take nothing new and to end.
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

import type { Log } from '#runtime/log.ts';

export interface Upgrade {
  /**
   * From now on the next version may take over: `release` frees what two processes cannot share, then
   * this process drains and ends.
   */
  offer(release: () => Promise<void>): void;
  close(): Promise<void>;
}

/** The old version has so long to free its admin port. */
const handoverTimeoutMs = 10_000;

/**
 * Takes over from the version that offers at `path`, if there is one: our ports are listened on
 * already, so no connection finds nobody. Resolves when its admin port is free.
 */
export async function takeOver(path: string, log: Log): Promise<Upgrade> {
  if (await ask(path)) log.info({ path }, 'took the ports over; the version before drains');
  let server: Server | null = null;
  return {
    offer(release) {
      server = serve(path, release, log);
    },
    close: async () => {
      server?.close();
    },
  };
}

/** @returns false: nobody offers */
function ask(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  let answer = '';
  socket.setTimeout(handoverTimeoutMs, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.on('error', () => resolve(false));
  socket.on('close', () => resolve(answer.startsWith('released')));
  socket.write('take over\n');
  return promise;
}

async function handOver(socket: Socket, release: () => Promise<void>, log: Log): Promise<void> {
  try {
    await release();
  } catch (error) {
    log.error({ error }, 'the admin endpoint was not released in order; the process ends anyway');
  }
  socket.end('released\n');
  // The way of every other end: in order, and within the deadline.
  process.kill(process.pid, 'SIGTERM');
}

function serve(path: string, release: () => Promise<void>, log: Log): Server {
  let taken = false;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      if (taken) {
        socket.destroy();
        return;
      }
      taken = true;
      log.info({ path }, 'the next version takes over');
      // The path is the next version's from here on.
      server.close();
      void handOver(socket, release, log);
    });
  });
  server.on('error', (error) => log.error({ path, error }, 'no upgrade can be offered'));
  // What a version before left behind, which is gone or was told to end.
  rm(path, { force: true })
    .then(() => server.listen(path))
    .catch((error: unknown) => log.error({ path, error }, 'no upgrade can be offered'));
  return server;
}
