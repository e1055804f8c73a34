// Following a log file as it grows.
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { JsonTail } from '#cli/up/tail.ts';

let folder = '';
let tail: JsonTail | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-tail-'));
});
afterEach(async () => {
  tail?.stop();
  await rm(folder, { recursive: true });
});

test('lines come whole, in order, from a file that does not exist yet', async () => {
  const file = join(folder, 'log');
  const seen: unknown[] = [];
  tail = new JsonTail(file, (line) => seen.push(line));
  await tail.poll();
  await writeFile(file, '{"n":1}\n{"n":');
  await tail.poll();
  await appendFile(file, '2,"s":"é"}\nnot json\n{"n":3}\n');
  await tail.poll();
  expect(seen).toEqual([{ n: 1 }, { n: 2, s: 'é' }, { n: 3 }]);
});

test('a file that was rotated is read from its beginning', async () => {
  const file = join(folder, 'log');
  const seen: unknown[] = [];
  tail = new JsonTail(file, (line) => seen.push(line));
  await writeFile(file, '{"n":1}\n{"n":2}\n');
  await tail.poll();
  await rename(file, `${file}.1`);
  await writeFile(file, '{"n":3}\n');
  await tail.poll();
  expect(seen).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
});
