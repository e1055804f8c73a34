import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Log } from '#runtime/log.ts';
import { silentLog } from '#runtime/log.ts';
import { SnapshotDisk } from '#sidecar/config/disk.ts';
import { readSnapshotFile } from '#sidecar/config/file.ts';

import { webSnapshot } from '../../control/push/fixtures.ts';

let folder = '';
let warnings: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-disk-'));
  warnings = [];
});

afterEach(() => rm(folder, { recursive: true }));

function disk(
  over: { folder?: string; workload?: string; debounceMs?: number } = {},
): SnapshotDisk {
  const log: Log = { ...silentLog, warn: (_, message) => warnings.push(message) };
  return new SnapshotDisk({ folder, namespace: 'a', workload: 'web', log, ...over });
}

test('what was saved last is loaded, whole, by owner alone', async () => {
  const state = join(folder, 'made', 'when needed');
  const first = disk({ folder: state });
  first.save(webSnapshot(1, ['x']));
  first.save(webSnapshot(2, ['y']));
  await first.flush();
  expect(await disk({ folder: state }).load()).toEqual(webSnapshot(2, ['y']));
  expect((await stat(first.path)).mode & 0o777).toBe(0o600);
  expect(await readdir(state)).toHaveLength(1);
});

test('saves in a row are written once, soon', async () => {
  const one = disk({ debounceMs: 20 });
  for (let version = 1; version <= 50; version++) one.save(webSnapshot(version, ['x']));
  expect(await readdir(folder)).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 60));
  await one.flush();
  expect((await one.load())?.version).toBe(50);
});

test('nothing stored is no reason for a warning', async () => {
  expect(await disk().load()).toBeNull();
  expect(warnings).toEqual([]);
});

const damages: [string, (text: string) => string][] = [
  ['empty', () => ''],
  ['cut short', (text) => text.slice(0, -20)],
  ['of another format', (text) => text.replace('selvage-snapshot 1', 'selvage-snapshot 2')],
  ['changed in one word', (text) => text.replace('"ALLOW"', '"DENY"')],
  ['no JSON', () => 'hello'],
];

test.each(damages)('a stored snapshot that is %s is ignored with a warning', async (_, damage) => {
  const one = disk();
  one.save(webSnapshot(1, ['x']));
  await one.flush();
  const text = await readFile(one.path, 'utf8');
  await writeFile(one.path, damage(text));
  expect(await one.load()).toBeNull();
  expect(warnings).toEqual(['the stored snapshot is damaged; ignoring it']);
});

test("another workload's snapshot is ignored", async () => {
  const one = disk();
  one.save(webSnapshot(1, ['x']));
  await one.flush();
  const other = disk({ workload: 'other' });
  await writeFile(other.path, await readFile(one.path));
  expect(await other.load()).toBeNull();
  expect(warnings).toHaveLength(1);
});

test('a disk that cannot be written is a warning, not a failure', async () => {
  await writeFile(join(folder, 'file'), '');
  const one = disk({ folder: join(folder, 'file') });
  one.save(webSnapshot(1, ['x']));
  await one.flush();
  expect(warnings).toHaveLength(1);
});

test('a snapshot file is read, and a wrong one is refused with its name and what is wrong', async () => {
  const file = join(folder, 's.json');
  await writeFile(file, JSON.stringify(webSnapshot(3, ['x'])));
  expect(await readSnapshotFile(file)).toEqual(webSnapshot(3, ['x']));
  await writeFile(file, JSON.stringify({ ...webSnapshot(3, ['x']), services: [{}] }));
  await expect(readSnapshotFile(file)).rejects.toThrow(
    `snapshot file ${file}: snapshot.services[0].name is not a text`,
  );
});
