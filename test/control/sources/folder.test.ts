import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { FolderSource, type FolderLimits } from '#control/sources/folder.ts';
import { silentLog } from '#runtime/log.ts';

import { until } from '../push/fixtures.ts';

let folder = '';
let source: FolderSource | null = null;
let changes = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-folder-'));
  changes = 0;
});

afterEach(async () => {
  source?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(
  limits: Partial<FolderLimits> = {},
  folders = [folder],
): Promise<FolderSource> {
  const made = new FolderSource({
    folders,
    onChange: () => (changes += 1),
    log: silentLog,
    limits: { quietMs: 20, waitMaxMs: 200, vanishMs: 60, ...limits },
  });
  source = made;
  await made.start();
  return made;
}

function policy(name: string, path = '/'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: a }
spec:
  rules:
    - to: [{ operation: { paths: ["${path}"] } }]
`;
}

const broken = 'apiVersion: security.istio.io/v1\nkind: [unclosed\n';

function names(from: FolderSource): string[] {
  return from.resources().map(({ metadata }) => metadata.name);
}

function pathsOf(from: FolderSource): string[] {
  return from.resources().map((one) => JSON.stringify(one.spec).match(/"\/([^"]*)"/)?.[1] ?? '');
}

function codes(from: FolderSource): string[] {
  return from.problems().map(({ code }) => code);
}

test('files are read in order of folders and paths, hidden and other files are not', async () => {
  const second = join(folder, 'second');
  await mkdir(join(folder, 'first', 'sub'), { recursive: true });
  await mkdir(second);
  await writeFile(join(second, 'a.yaml'), policy('second-a'));
  await writeFile(join(folder, 'first', 'b.yml'), policy('first-b'));
  await writeFile(join(folder, 'first', 'sub', 'a.yaml'), policy('first-sub-a'));
  await writeFile(join(folder, 'first', '.b.yaml.swp'), broken);
  await writeFile(join(folder, 'first', '.hidden.yaml'), policy('hidden'));
  await writeFile(join(folder, 'first', 'readme.md'), broken);
  const from = await start({}, [`${folder}/./first/`, second]);
  expect(names(from)).toEqual(['first-b', 'first-sub-a', 'second-a']);
  expect(from.problems()).toEqual([]);
});

test('a path to a file stands for that file', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a'));
  await writeFile(join(folder, 'b.yaml'), policy('b'));
  const from = await start({}, [join(folder, 'b.yaml')]);
  expect(names(from)).toEqual(['b']);
});

test('edits, new files and new folders take effect', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a', '/one'));
  const from = await start();
  await writeFile(join(folder, 'a.yaml'), policy('a', '/two'));
  await until(() => pathsOf(from)[0] === 'two', 'edit');
  await mkdir(join(folder, 'new'));
  await writeFile(join(folder, 'new', 'b.yaml'), policy('b'));
  await until(() => names(from).includes('b'), 'new folder');
  expect(names(from)).toEqual(['a', 'b']);
  expect(changes).toBeGreaterThanOrEqual(2);
});

test('an edit by rename, as editors do it, takes effect without a moment in between', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a', '/one'));
  const from = await start();
  const seen = new Set<string>();
  const watcher = setInterval(() => seen.add(names(from).join()), 2);
  await rename(join(folder, 'a.yaml'), join(folder, 'a.yaml~'));
  await sleep(30);
  await writeFile(join(folder, 'a.yaml'), policy('a', '/two'));
  await unlink(join(folder, 'a.yaml~'));
  await until(() => pathsOf(from)[0] === 'two', 'edit');
  clearInterval(watcher);
  expect([...seen]).toEqual(['a']);
});

test('a file that is emptied and filled again keeps its resources meanwhile', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a', '/one'));
  const from = await start({ quietMs: 10, vanishMs: 300 });
  const seen = new Set<string>();
  const watcher = setInterval(() => seen.add(names(from).join()), 2);
  await writeFile(join(folder, 'a.yaml'), '');
  await sleep(80);
  await writeFile(join(folder, 'a.yaml'), policy('a', '/two'));
  await until(() => pathsOf(from)[0] === 'two', 'edit');
  clearInterval(watcher);
  expect([...seen]).toEqual(['a']);
});

test('a deleted file removes its resources, and so does an emptied one', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a'));
  await writeFile(join(folder, 'b.yaml'), policy('b'));
  await writeFile(join(folder, 'c.yaml'), policy('c'));
  const from = await start();
  await rm(join(folder, 'a.yaml'));
  await writeFile(join(folder, 'b.yaml'), '# nothing any more\n');
  await until(() => names(from).join() === 'c', 'removal');
  expect(codes(from)).toEqual([]);
});

test('a broken file is reported with its place, and its last good content stays in force', async () => {
  const file = join(folder, 'a.yaml');
  await writeFile(file, `${policy('a', '/one')}---\n${policy('b')}`);
  await writeFile(join(folder, 'c.yaml'), policy('c'));
  const from = await start();
  await writeFile(file, `${policy('a', '/two')}---\n${broken}`);
  await writeFile(join(folder, 'c.yaml'), policy('c', '/three'));
  await until(() => pathsOf(from).includes('three'), 'the other file');
  await until(() => codes(from).includes('last-good-kept'), 'report');
  expect(names(from)).toEqual(['a', 'b', 'c']);
  expect(pathsOf(from)).toEqual(['one', '', 'three']);
  const [error] = from.problems();
  expect(error).toMatchObject({ severity: 'error', file });
  expect(error?.line).toBeGreaterThanOrEqual(8);
  expect(error?.column).toBeGreaterThan(0);
  await writeFile(file, policy('a', '/mended'));
  await until(() => from.problems().length === 0, 'mended');
  expect(pathsOf(from)).toEqual(['mended', 'three']);
});

test('a mistake in one resource keeps its last good form, and the others of the file change', async () => {
  const file = join(folder, 'a.yaml');
  const three = (middle: string): string => [policy('a'), middle, policy('c')].join('---\n');
  await writeFile(file, three(policy('b', '/good')));
  const from = await start();
  const wrong = policy('b', '/bad').replace('spec:', 'spec:\n  action: PERMIT');
  await writeFile(file, three(wrong).replace('"/"', '"/new"'));
  await until(() => from.problems().length > 0, 'problem');
  expect(names(from)).toEqual(['a', 'b', 'c']);
  expect(pathsOf(from)).toEqual(['new', 'good', '']);
  expect(codes(from)).toContain('last-good-kept');
});

test('a file that is broken from the start leaves out only what is broken', async () => {
  await writeFile(join(folder, 'a.yaml'), broken);
  await writeFile(join(folder, 'b.yaml'), policy('b'));
  const from = await start();
  expect(names(from)).toEqual(['b']);
  expect(from.problems()[0]).toMatchObject({ severity: 'error', file: join(folder, 'a.yaml') });
});

test('a file that is broken while control starts again keeps its last good content, from memory', async () => {
  const file = join(folder, 'a.yaml');
  const memoryFolder = join(folder, '.memory');
  const again = async (): Promise<FolderSource> => {
    source?.stop();
    const made = new FolderSource({
      folders: [folder],
      onChange: () => undefined,
      log: silentLog,
      memoryFolder,
    });
    source = made;
    await made.start();
    await made.flush();
    return made;
  };
  await writeFile(file, `${policy('a', '/one')}---\n${policy('b', '/two')}`);
  await again();
  await writeFile(file, broken);
  const from = await again();
  expect(pathsOf(from)).toEqual(['one', 'two']);
  expect(codes(from)).toContain('last-good-kept');
  // A mistake in one resource: the other is taken as it is now.
  await writeFile(file, `${policy('a', '/new')}---\n${policy('b').replace('spec:', 'spec: 7 #')}`);
  expect(names(await again())).toEqual(['a', 'b']);
  await rm(file);
  await again();
  await writeFile(file, broken);
  expect(names(await again())).toEqual([]);
});

test('a broken file that is deleted takes its last good content and its report with it', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a'));
  const from = await start();
  await writeFile(join(folder, 'a.yaml'), broken);
  await until(() => codes(from).includes('last-good-kept'), 'broken');
  await rm(join(folder, 'a.yaml'));
  await until(() => names(from).length === 0, 'deleted');
  expect(from.problems()).toEqual([]);
});

test('when a whole folder goes away, what was in it stays in force, until it is back', async () => {
  const gone = join(folder, 'x');
  await mkdir(gone);
  await writeFile(join(gone, 'a.yaml'), policy('a', '/one'));
  const from = await start({ rescanMs: 50 }, [gone]);
  await rename(gone, `${gone}.away`);
  await until(() => codes(from).includes('folder-unreadable'), 'report');
  await sleep(150);
  expect(names(from)).toEqual(['a']);
  await mkdir(gone);
  await writeFile(join(gone, 'a.yaml'), policy('a', '/two'));
  await until(() => pathsOf(from)[0] === 'two', 'back');
  expect(from.problems()).toEqual([]);
});

test('a folder that is not there yet is picked up when it comes', async () => {
  const later = join(folder, 'later');
  const from = await start({ rescanMs: 50 }, [later]);
  expect(codes(from)).toEqual(['folder-unreadable']);
  await mkdir(later);
  await writeFile(join(later, 'a.yaml'), policy('a'));
  await until(() => names(from).length === 1, 'picked up');
});

test('a mounted ConfigMap changes by the swap of one hidden link', async () => {
  await mkdir(join(folder, '..1'));
  await mkdir(join(folder, '..2'));
  await writeFile(join(folder, '..1', 'a.yaml'), policy('a', '/one'));
  await writeFile(join(folder, '..2', 'a.yaml'), policy('a', '/two'));
  await symlink('..1', join(folder, '..data'));
  await symlink(join('..data', 'a.yaml'), join(folder, 'a.yaml'));
  const from = await start();
  expect(pathsOf(from)).toEqual(['one']);
  await symlink('..2', join(folder, '..tmp'));
  await rename(join(folder, '..tmp'), join(folder, '..data'));
  await until(() => pathsOf(from)[0] === 'two', 'swap');
});

test('a rescan finds what no event told', async () => {
  // A link to a file elsewhere: fs.watch sees only the link.
  const elsewhere = await mkdtemp(join(tmpdir(), 'selvage-else-'));
  await writeFile(join(elsewhere, 'a.yaml'), policy('a', '/one'));
  await symlink(join(elsewhere, 'a.yaml'), join(folder, 'a.yaml'));
  const from = await start({ rescanMs: 50 });
  await writeFile(join(elsewhere, 'a.yaml'), policy('a', '/two'));
  await until(() => pathsOf(from)[0] === 'two', 'rescan');
  expect(changes).toBe(1);
  await rm(elsewhere, { recursive: true });
});

test('a file over the limit is refused unread and keeps what it held', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a'));
  const from = await start({ fileBytesMax: 1000 });
  await writeFile(join(folder, 'a.yaml'), policy('a') + ' '.repeat(2000));
  await until(() => codes(from).includes('file-too-large'), 'refused');
  expect(names(from)).toEqual(['a']);
});

test('many writes in a row become few changes, and the last one counts', async () => {
  await writeFile(join(folder, 'a.yaml'), policy('a', '/0'));
  const from = await start({ quietMs: 50, waitMaxMs: 400 });
  for (let i = 1; i <= 40; i++) {
    await writeFile(join(folder, 'a.yaml'), policy('a', `/${i}`));
    await sleep(5);
  }
  await until(() => pathsOf(from)[0] === '40', 'last');
  expect(changes).toBeLessThanOrEqual(5);
});

test('JSON is read where it holds resources, and left alone where it is somebody else’s', async () => {
  const value = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'from-json', namespace: 'a' },
    spec: {},
  };
  await writeFile(join(folder, 'policy.json'), JSON.stringify(value));
  await writeFile(join(folder, 'tsconfig.json'), '{\n  // comments\n  "strict": true,\n}\n');
  const from = await start();
  expect(names(from)).toEqual(['from-json']);
  expect(from.problems()).toEqual([]);
});
