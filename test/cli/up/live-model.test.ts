// The folder as it is in force while it is edited.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { LiveModel } from '#cli/up/live-model.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-live-'));
});
afterEach(() => rm(folder, { recursive: true }));

const account = (name: string) =>
  `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name}, namespace: shop }\n`;

test('a file that is empty for a moment, as when an editor saves it, loses nothing', async () => {
  const file = join(folder, 'a.yaml');
  await writeFile(file, account('web'));
  const live = await LiveModel.read(folder, folder);
  await writeFile(file, '');
  const update = live.update();
  await sleep(50);
  await writeFile(file, account('web'));
  expect(await update).toBeNull();
  expect(live.model.resources.serviceAccounts).toHaveLength(1);
});

test('a file that stays empty is empty', async () => {
  const file = join(folder, 'a.yaml');
  await writeFile(file, account('web'));
  const live = await LiveModel.read(folder, folder);
  await writeFile(file, '');
  await live.update();
  expect(live.model.resources.serviceAccounts).toHaveLength(0);
});
