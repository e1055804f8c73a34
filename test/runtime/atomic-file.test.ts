// Atomic files: mode, replacement, exclusive creation, nothing left behind.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeFileAtomically } from '#runtime/atomic-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-atomic-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a file is replaced whole, with its mode, and no other file stays', async () => {
  const path = join(folder, 'a');
  await writeFile(path, 'old', { mode: 0o644 });
  await writeFileAtomically(path, 'new', { mode: 0o600 });
  expect(await readFile(path, 'utf8')).toBe('new');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['a']);
});

test('an exclusive write does not touch a file that exists', async () => {
  const path = join(folder, 'b');
  await writeFileAtomically(path, 'first', { mode: 0o600, exclusive: true });
  await expect(
    writeFileAtomically(path, 'second', { mode: 0o600, exclusive: true }),
  ).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(path, 'utf8')).toBe('first');
  expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
});
