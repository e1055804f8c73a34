import { once } from 'node:events';
import { createServer } from 'node:net';

import { expect, test } from 'vitest';

import { pageNames, readSteps, textOf, withFirstPort } from '../docs/page.ts';
import { Session } from '../docs/session.ts';

test.each(pageNames())('%s', async (name) => {
  const session = new Session('local');
  try {
    for (const step of readSteps(withFirstPort(textOf(name), await freeBlock()))) {
      expect(await session.run(step)).toBeNull();
    }
  } finally {
    await session.close();
  }
});

/** Ports of a mesh: so many in a row, below those that connections are given. */
async function freeBlock(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const first = 22_000 + 20 * Math.floor(Math.random() * 450);
    const ports = Array.from({ length: 20 }, (_, i) => first + i);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error('no 20 free ports in a row');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
