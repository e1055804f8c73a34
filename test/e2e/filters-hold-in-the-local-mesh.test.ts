// Every example of manifests/examples/filters: by its own tests, in a local mesh, and edited while it runs.
import { execFileSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { check } from '#cli/check.ts';

import { eventually, TestMesh } from './local-mesh.ts';

const root = join(import.meta.dirname, '../..');
const examples = join(root, 'manifests/examples/filters');
let mesh: TestMesh;

beforeAll(async () => {
  mesh = await TestMesh.start(examples);
});
afterAll(() => mesh.stop());

function call(path: string, headers: [string, string][] = []) {
  return mesh.call('caller', 'GET', `http://api.filters:8080${path}`, headers);
}

function askedOf(body: string): { url: string; headers: Record<string, string> } {
  return (JSON.parse(body) as { asked: { url: string; headers: Record<string, string> } }).asked;
}

const ada: [string, string][] = [['x-tenant-key', 'key-of-ada']];

test("the example's own tests pass, as a user runs them", () => {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const text = execFileSync(process.execPath, [vitest, 'run', '--root', examples], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  expect(text).toMatch(/Tests\s+3 passed/);
});

test('a filter of a file lets each tenant into its part, and shows no password', async () => {
  expect(await call('/tenants/items')).toMatchObject({ status: 401, body: 'who?\n' });
  const reply = await call('/tenants/items', ada);
  expect(askedOf(reply.body)).toMatchObject({ url: '/tenants/ada/items' });
  expect(askedOf(reply.body).headers).toMatchObject({ 'x-tenant': 'ada' });
  expect(reply.body).toContain('"password":null');
  expect(reply.headers.get('x-powered-by')).toBeUndefined();
});

test('a filter whose text is in the YAML remembers what it saw', async () => {
  expect(askedOf((await call('/counted/a')).body).headers['x-call']).toBe('1');
  expect(askedOf((await call('/counted/a')).body).headers['x-call']).toBe('2');
});

test('an edit of the file is in force at once', async () => {
  const file = join(mesh.folder, 'tenants.ts');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace("'who?\\n'", "'nobody\\n'"));
  const body = await eventually(
    async () => (await call('/tenants/items')).body,
    (told) => told === 'nobody\n',
  );
  expect(body).toBe('nobody\n');
});

test('selvage check says which file is not there', async () => {
  await rm(join(mesh.folder, 'tenants.ts'));
  let text = '';
  const write = (more: string): unknown => (text += more);
  const status = await check(['.'], { stdout: { write }, cwd: mesh.folder, tty: false });
  expect(status).toBe(1);
  expect(text).toContain('the file of the filter cannot be read');
  expect(text).toContain('filters.yaml:13');
});
