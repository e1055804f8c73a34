// How a mesh of this machine is found by other commands, and by whom nobody is misled.
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  type Announcement,
  announcementFolder,
  AnnouncementFile,
  announcementOf,
  readAnnouncements,
} from '#cli/sidecars/announcement.ts';
import { findLocalMesh, localSidecars, openSidecars } from '#cli/sidecars/open.ts';

let runtime = '';
let folder = '';
beforeEach(async () => {
  runtime = await mkdtemp(join(tmpdir(), 'selvage-told-'));
  folder = announcementFolder({ XDG_RUNTIME_DIR: runtime });
});
afterEach(() => rm(runtime, { recursive: true, force: true }));

function mesh(more: Partial<Announcement> = {}): Announcement {
  return {
    pid: process.pid,
    startedAtMs: Date.now(),
    folder: '/meshes/shop',
    shown: 'shop',
    controlAdmin: 21_004,
    caAdmin: 21_002,
    sidecars: [
      { namespace: 'shop', workload: 'web', pod: 'web-0', admin: 21_008 },
      { namespace: 'money', workload: 'payments', pod: 'payments-0', admin: 21_016 },
    ],
    ...more,
  };
}

function io(cwd = '/meshes') {
  const nothing = { write: () => undefined };
  return { stdout: nothing, stderr: nothing, cwd, tty: false, env: { XDG_RUNTIME_DIR: runtime } };
}

/** Of a process that has ended. */
function endedPid(): number {
  return spawnSync('/bin/true').pid;
}

test('what a mesh says of itself is read as it was written, and by its user only', async () => {
  const file = new AnnouncementFile(folder, '21004');
  await file.write(mesh());
  expect(await readAnnouncements(folder)).toEqual([mesh({ startedAtMs: expect.any(Number) })]);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(file.path)).mode & 0o777).toBe(0o600);
  await file.remove();
  expect(await readAnnouncements(folder)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('what a killed mesh has left behind is removed, also when its number is another process now', async () => {
  await new AnnouncementFile(folder, '1').write(mesh({ pid: endedPid() }));
  await new AnnouncementFile(folder, '2').write(mesh({ startedAtMs: 1000 }));
  await new AnnouncementFile(folder, '3').write(mesh({ controlAdmin: 3 }));
  expect(await readAnnouncements(folder)).toMatchObject([{ controlAdmin: 3 }]);
  expect(await readdir(folder)).toEqual(['3.json']);
});

test('a folder where others may write is not believed', async () => {
  await new AnnouncementFile(folder, '1').write(mesh());
  await chmod(folder, 0o777);
  await expect(readAnnouncements(folder)).rejects.toThrow('is not yours alone');
  await expect(new AnnouncementFile(folder, '2').write(mesh())).rejects.toThrow('not yours alone');
});

test('a link to a folder is not believed either', async () => {
  const elsewhere = join(runtime, 'elsewhere');
  await new AnnouncementFile(elsewhere, '1').write(mesh());
  await symlink(elsewhere, folder);
  await expect(readAnnouncements(folder)).rejects.toThrow('is not yours alone');
});

test('files that are none are left alone', async () => {
  await new AnnouncementFile(folder, '1').write(mesh());
  await writeFile(join(folder, 'odd.json'), '{"pid":');
  await writeFile(join(folder, 'note.txt'), 'x');
  expect(await readAnnouncements(folder)).toHaveLength(1);
  expect(await readdir(folder)).toHaveLength(3);
});

test('whatever a file holds, it is a mesh or none', () => {
  const check = fc.property(fc.jsonValue(), (value) => {
    expect(announcementOf(value)?.pid ?? 1).toBeGreaterThan(0);
  });
  expect(() => fc.assert(check)).not.toThrow();
});

test('the one mesh that runs is asked; of several one is to be chosen', async () => {
  expect(await findLocalMesh({}, io())).toBeNull();
  await new AnnouncementFile(folder, '1').write(mesh());
  expect(await findLocalMesh({}, io())).toMatchObject({ shown: 'shop' });
  const parent = process.ppid;
  const other = mesh({ pid: parent, folder: '/meshes/bank', shown: 'bank', controlAdmin: 2 });
  await new AnnouncementFile(folder, '2').write(other);
  await expect(findLocalMesh({}, io())).rejects.toThrow(
    /^several meshes run here: choose one by --mesh PID; there are .*\(shop\).*\(bank\)$/,
  );
  expect(await findLocalMesh({ mesh: 'bank' }, io())).toMatchObject({ pid: parent });
  expect(await findLocalMesh({ mesh: String(parent) }, io())).toMatchObject({ shown: 'bank' });
  await expect(findLocalMesh({ mesh: 'park' }, io())).rejects.toThrow('no mesh of park runs here');
});

test('a cluster that is named is meant, whatever runs here', async () => {
  await new AnnouncementFile(folder, '1').write(mesh());
  expect(await findLocalMesh({ context: 'prod' }, io())).toBeNull();
  expect(await findLocalMesh({ kubeconfig: 'x' }, io())).toBeNull();
  await expect(findLocalMesh({ kubeconfig: 'x', mesh: 'shop' }, io())).rejects.toThrow('give one');
});

test('sidecars are listed as they are now, and a mesh that has ended is told as such', async () => {
  const file = new AnnouncementFile(folder, '1');
  await file.write(mesh());
  const sidecars = await openSidecars({}, io());
  expect(sidecars.title).toBe(`the mesh of shop (pid ${process.pid})`);
  expect(await sidecars.list()).toMatchObject([{ pod: 'web-0' }, { pod: 'payments-0' }]);
  expect(await sidecars.list('money')).toMatchObject([{ pod: 'payments-0' }]);
  await file.write(mesh({ sidecars: [] }));
  expect(await sidecars.list()).toEqual([]);
  await file.remove();
  await expect(localSidecars(mesh(), io()).list()).rejects.toThrow('the mesh of shop has ended');
});
