// Process 1 of a container hears no signal that it does not listen to, so it must listen while it starts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const program = `
  import { runProcess } from '#runtime/process.ts';
  await runProcess({
    name: 'slow',
    read: () => ({ logLevel: 'info' }),
    describe: () => ({}),
    start: () => {
      process.send('starting');
      return new Promise(() => setInterval(() => {}, 1000));
    },
  });
`;

test('SIGTERM while a process starts ends it by its own handler, with a line in the log', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await once(child, 'message');
  child.kill('SIGTERM');
  // Without a handler the status would be null and the signal SIGTERM.
  expect(await once(child, 'close')).toEqual([143, null]);
  expect(output).toContain('stopped while starting');
});
