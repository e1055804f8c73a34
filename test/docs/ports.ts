// Moves the ports of a page to ones that are free: a page names fixed ports for its reader, and a test may find them taken.
import { createServer } from 'node:net';
import { once } from 'node:events';

import type { Step } from './page.ts';

/** How many ports from `--first-port N` on are the page's. */
const blockPorts = 100;
/** `selvage up` takes ports below 32,000; meshes of other tests begin with 22,000, 24,000 and 29,000. */
const [lowest, highest] = [26_000, 28_900];

/** First ports of the blocks that the commands of a page name. */
export function portBlocksOf(steps: readonly Step[]): Set<number> {
  const commands = steps.flatMap((step) => (step.kind === 'command' ? [step.command] : []));
  const named = commands.flatMap((command) => [...command.matchAll(/--first-port[ =](\d+)/g)]);
  return new Set(named.map(([, port]) => Number(port)));
}

/** The same steps, each port of a block being as far into the block that it moves to. @param to by first port */
export function withPortsMoved(steps: readonly Step[], to: ReadonlyMap<number, number>): Step[] {
  const move = (text: string): string =>
    text.replace(/(?<![\d.])\d{4,5}(?![\d.]*\d)/g, (digits) => {
      const port = Number(digits);
      for (const [first, target] of to) {
        if (port >= first && port < first + blockPorts) return String(target + port - first);
      }
      return digits;
    });
  return steps.map((step): Step => {
    if (step.kind !== 'command') return { ...step, text: move(step.text) };
    return { ...step, command: move(step.command), output: step.output.map(move) };
  });
}

/** The same steps with ports that nobody has at this moment. */
export async function withFreePorts(steps: readonly Step[]): Promise<Step[]> {
  const to = new Map<number, number>();
  for (const first of portBlocksOf(steps)) to.set(first, await freeBlock([...to.values()]));
  return withPortsMoved(steps, to);
}

/** Begins anywhere: tests that look at the same moment are not to find the same. */
async function freeBlock(taken: readonly number[]): Promise<number> {
  const blocks = (highest - lowest) / blockPorts;
  const begin = Math.floor(Math.random() * blocks);
  for (let i = 0; i < blocks; i++) {
    const first = lowest + ((begin + i) % blocks) * blockPorts;
    if (!taken.includes(first) && (await isFree(first))) return first;
  }
  throw new Error(`no ${blockPorts} ports in a row are free`);
}

async function isFree(first: number): Promise<boolean> {
  for (let port = first; port < first + blockPorts; port++) {
    const server = createServer();
    const listening = once(
      server.listen({ port, host: '127.0.0.1', exclusive: true }),
      'listening',
    );
    if (!(await listening.then(() => true).catch(() => false))) return false;
    server.close();
    await once(server, 'close');
  }
  return true;
}
