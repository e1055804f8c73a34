import { once } from 'node:events';
import { createServer } from 'node:net';

import { expect, test } from 'vitest';

import { pageNames, stepsOf } from '../docs/page.ts';
import { withFreePorts } from '../docs/ports.ts';
import { Session } from '../docs/session.ts';

test.each(pageNames())('%s', async (name) => {
  const session = new Session('local');
  try {
    for (const step of await withFreePorts(stepsOf(name)))
      expect(await session.run(step)).toBeNull();
  } finally {
    await session.close();
  }
});

/** The last range that no mesh has: those of other tests take the first. */
async function freeBlock(): Promise<number> {
  for (let first = 31_000; first > 21_000; first -= 1000) if (await isFree(first)) return first;
  throw new Error('meshes have all ranges of ports');
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
