import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { check } from '#cli/check.ts';
import { readPaths } from '#cli/paths.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

const good = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: foo}\n';
const bad =
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec:\n  action: DENY\n';
const odd =
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: q}\nspec: {rules: []}\n';
write('good.yaml', good);
write('bad.yml', bad);
write('odd.yaml', odd);
write('tree/a.yaml', good);
write(
  'tree/b/c.json',
  JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'c' } }),
);
write('tree/notes.txt', 'not: [yaml');
write('tree/.hidden.yaml', bad);
write('tree/node_modules/x.yaml', bad);

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const status = await check(args, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    cwd: folder,
    stdin: Readable.from([Buffer.from(bad)]),
  });
  return { status, out, err };
}

test('a sound file ends with 0 and one line', async () => {
  expect(await run('good.yaml')).toEqual({
    status: 0,
    out: 'nothing to mend in 1 resource of 1 file\n',
    err: '',
  });
});

test('an error ends with 1, and has its place, its reason, its code and what to do', async () => {
  const { status, out } = await run('bad.yml');
  expect(status).toBe(1);
  const [line, mend, summary] = out.split('\n');
  expect(line).toMatch(
    /^bad\.yml:5:11: error: AuthorizationPolicy default\/p: .*DENY.* \[rules-missing\]$/,
  );
  expect(mend).toMatch(/^ {4}mend: add a rule/);
  expect(summary).toBe('1 error, 0 warnings in 0 resources of 1 file');
});

test('a warning ends with 0, and with 1 under --strict', async () => {
  expect(await run('odd.yaml')).toMatchObject({
    status: 0,
    out: expect.stringContaining('warning'),
  });
  expect(await run('odd.yaml', '--strict')).toMatchObject({ status: 1 });
});

test('a folder is read with all below it, but not what is hidden or installed', async () => {
  const { status, out } = await run('tree');
  expect(status).toBe(0);
  expect(out).toBe('nothing to mend in 2 resources of 2 files\n');
});

test('- reads stdin', async () => {
  expect(await run('-')).toMatchObject({
    status: 1,
    out: expect.stringMatching(/^stdin:5:11: error/),
  });
});

test('a file that is not there is an error, and the others are still checked', async () => {
  const { status, out } = await run('nowhere.yaml', 'bad.yml');
  expect(status).toBe(1);
  expect(out).toContain('nowhere.yaml: error: there is no such file or folder [file-unreadable]');
  expect(out).toContain('bad.yml:5:11');
});

test('--output json gives problems and counts', async () => {
  const { status, out } = await run('bad.yml', 'odd.yaml', '--output', 'json');
  expect(status).toBe(1);
  const report = JSON.parse(out) as { problems: unknown[] };
  expect(report).toMatchObject({ errors: 1, warnings: 1, resources: 1, files: 2 });
  expect(report.problems[0]).toMatchObject({
    file: 'bad.yml',
    line: 5,
    column: 11,
    code: 'rules-missing',
  });
  expect((await run('--output=json', 'good.yaml')).out).toContain('"problems": []');
});

test.each([
  [],
  ['--nope', 'good.yaml'],
  ['--output', 'xml', 'good.yaml'],
  ['good.yaml', '--output'],
])('wrong usage ends with 2: %s', async (...args: string[]) => {
  const { status, out, err } = await run(...args);
  expect({ status, out }).toEqual({ status: 2, out: '' });
  expect(err).toMatch(/^selvage check: .*\nUsage: selvage check PATH/);
});

test('a mesh whose configuration is broken is not blamed on its policies', async () => {
  write('mesh.yaml', 'kind: MeshConfig\nspec: {trustDomain: [corp]}\n');
  write(
    'named.yaml',
    odd.replace('rules: []', 'rules: [{from: [{source: {principals: [corp/ns/a/sa/b]}}]}]'),
  );
  const { out } = await run('mesh.yaml', 'named.yaml');
  expect(out).toContain('[shape]');
  expect(out).not.toContain('trust-domain-unknown');
  expect((await run('named.yaml')).out).toContain('trust-domain-unknown');
});

test('a file given twice is read once, and a link that leads back up ends nowhere', async () => {
  mkdirSync(join(folder, 'loop'), { recursive: true });
  write('loop/a.yaml', good);
  symlinkSync(join(folder, 'loop'), join(folder, 'loop/back.yaml'));
  const { files, problems } = await readPaths(['loop', 'loop/a.yaml'], folder);
  expect(problems).toEqual([]);
  expect(files.map(({ file }) => file)).toEqual(['loop/a.yaml']);
});

const examples = join(import.meta.dirname, '../../manifests/examples');

test('the shop of the examples has nothing to mend', async () => {
  expect(await run(join(examples, 'shop'), '--strict')).toMatchObject({ status: 0 });
});

// Each is an answer to one question: all at once would contradict each other.
test.each(readdirSync(join(examples, 'routes')))(
  'the example %s has nothing to mend',
  async (file) => {
    const files = new Set(['services.yaml', file]);
    const paths = [...files].map((one) => join(examples, 'routes', one));
    const { status, out } = await run(...paths, '--strict');
    expect(out).toContain('nothing to mend');
    expect(status).toBe(0);
  },
);
