// Child processes: kept running, ended when asked.
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { type ProcessSpec, Supervised } from '#cli/up/processes.ts';

function spec(script: string, lines: string[], crashes: string[]): ProcessSpec {
  return {
    name: 'p',
    argv: [process.execPath, '-e', script],
    cwd: import.meta.dirname,
    env: {},
    onLine: (line) => lines.push(line),
    onCrash: (reason) => crashes.push(reason),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i += 1) await sleep(25);
  expect(condition()).toBe(true);
}

test('a process that is killed starts again, and what it printed is kept by line', async () => {
  const [lines, crashes]: string[][] = [[], []];
  const process_ = new Supervised(
    spec('console.log("up"); setInterval(() => {}, 1000)', lines ?? [], crashes ?? []),
  );
  await until(() => lines?.length === 1);
  const { pid } = process_;
  process.kill(pid ?? 0, 'SIGKILL');
  await until(() => lines?.length === 2);
  expect(crashes).toEqual(['was killed by SIGKILL']);
  expect(process_.pid).not.toBe(pid);
  await process_.stop();
  expect(process_.pid).toBeUndefined();
});

test('a stopped process is not started again, nor called crashed', async () => {
  const crashes: string[] = [];
  const process_ = new Supervised(spec('setInterval(() => {}, 1000)', [], crashes));
  await process_.stop();
  await sleep(700);
  expect([process_.pid, crashes]).toEqual([undefined, []]);
});

test('a program that is not there is named', async () => {
  const crashes: string[] = [];
  const process_ = new Supervised({
    ...spec('', [], crashes),
    argv: ['no-such-program-anywhere'],
  });
  await until(() => crashes.length > 0);
  expect(crashes[0]).toContain('no-such-program-anywhere');
  await process_.stop();
});

test('what a program started ends with it, and is waited for', async () => {
  const lines: string[] = [];
  const script =
    'trap "sleep 0.3; echo drained; exit" TERM; echo inner $$; while :; do sleep 0.05; done';
  const process_ = new Supervised({
    ...spec('', lines, []),
    argv: ['sh', '-c', `sh -c '${script}' & wait`],
    env: { PATH: process.env['PATH'] ?? '' },
  });
  await until(() => lines.length === 1);
  const inner = Number(lines[0]?.split(' ')[1]);
  expect(process.kill(inner, 0)).toBe(true);
  await process_.stop();
  expect(() => process.kill(inner, 0)).toThrow('ESRCH');
  expect(lines).toContain('drained');
});
