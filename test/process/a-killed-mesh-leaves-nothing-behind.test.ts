// Whoever starts processes may be killed; what it started must go, and the folder with its keys.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect, test } from 'vitest';

import { eventually } from '../e2e/local-mesh.ts';

const root = join(import.meta.dirname, '../..');

/** A process that looks after two sleepers, one of them behind a shell, and has seen a third end. */
const starter = `
import { Guardian } from '${root}/cli/up/guardian.ts';
import { Supervised } from '${root}/cli/up/processes.ts';
const guardian = new Guardian(process.argv.slice(1));
const run = (argv) => new Supervised({
  name: 'x', argv, cwd: '/', env: { PATH: process.env.PATH }, guardian,
  onLine: (line) => console.log(line), onCrash: () => {},
});
const gone = run(['sh', '-c', 'echo gone $$; exec sleep 300']);
await new Promise((resolve) => setTimeout(resolve, 300));
await gone.stop();
run(['sh', '-c', 'echo plain $$; exec sleep 300']);
run(['sh', '-c', 'sleep 300 & echo child $!; wait']);
setInterval(() => {}, 1000);
`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('processes, their children, the state folder and what is told of the mesh go when the starter is killed', async () => {
  const state = await mkdtemp(join(tmpdir(), 'selvage-guarded-'));
  const told = join(await mkdtemp(join(tmpdir(), 'selvage-told-')), '21004.json');
  await writeFile(told, '{}');
  const args = ['--input-type=module-typescript', '-e', starter, state, told];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const pids = new Map<string, number>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [name = '', pid = ''] = line.split(' ');
    pids.set(name, Number(pid));
  });
  await eventually(
    async () => pids.size,
    (size) => size === 3,
  );
  expect([...pids.values()].map(isAlive)).toEqual([false, true, true]);
  child.kill('SIGKILL');
  await eventually(
    async () => [...pids.values()].some(isAlive),
    (some) => !some,
  );
  await eventually(
    async () => existsSync(state) || existsSync(told),
    (exists) => !exists,
  );
  await rm(state, { recursive: true, force: true });
  await rm(dirname(told), { recursive: true, force: true });
});
