// A process says why it ends, and ends: what it said must have been written by then.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const program = `
  import { createLog } from '#runtime/log.ts';
  const log = createLog('brief', 'info');
  for (let i = 0; i < 50; i++) log.info({ i }, 'going on');
  setTimeout(() => {
    log.info({}, 'stopping');
    log.info({}, 'stopped');
    process.exit(0);
  }, 5);
`;

async function outputOf(): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await once(child, 'close');
  return output;
}

test('each line before the end is there, in order', async () => {
  for (let round = 0; round < 12; round++) {
    const lines = (await outputOf()).trim().split('\n');
    expect(lines).toHaveLength(52);
    expect(lines.at(-2)).toContain('stopping');
    expect(lines.at(-1)).toContain('stopped');
  }
});

test('a reader that goes away ends nothing', async () => {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module-typescript',
      '-e',
      `import { createLog } from '#runtime/log.ts';
       const log = createLog('lonely', 'info');
       log.info({}, 'first');
       process.on('message', () => {
         for (let i = 0; i < 100; i++) log.info({ i }, 'nobody reads this');
         setTimeout(() => process.send('alive', () => process.exit(0)), 50);
       });`,
    ],
    { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  await once(child.stdout!, 'data');
  child.stdout?.destroy();
  child.send('go on');
  expect(await once(child, 'message')).toEqual(['alive', undefined]);
  expect(await once(child, 'exit')).toEqual([0, null]);
});
