// What a user gets: the packed package, installed in an empty folder, with none of our sources or tools near.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { readCases } from '../data/cases.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'selvage-package-'));
const app = join(folder, 'app');
const shop = 'node_modules/selvage/manifests/examples/shop';
// Without what `npm test` and vitest put before it and around it.
const env = {
  HOME: process.env['HOME'],
  PATH: (process.env['PATH'] ?? '')
    .split(':')
    .filter((part) => !part.includes('node_modules'))
    .join(':'),
};

beforeAll(() => {
  const path = `${dirname(process.execPath)}:${env.PATH}`;
  const options = { cwd: root, env: { ...env, PATH: path }, encoding: 'utf8' } as const;
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], options);
  const tarball = join(folder, packed.trim().split('\n').at(-1) ?? '');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n');
  const install = ['install', '--prefer-offline', '--ignore-scripts=false', '--no-audit', tarball];
  execFileSync('npm', install, { cwd: app, env });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** By the name that npm links, under whatever Node the machine has. */
function selvage(...args: string[]): { status: number | null; out: string } {
  const command = join(app, 'node_modules/.bin/selvage');
  const options = { cwd: app, env, encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(command, args, options);
  return { status, out: stdout + stderr };
}

test('it brings Node 26, and nothing else', () => {
  expect(selvage('--version').out).toMatch(/^selvage \d+\.\d+\.\d+ \(Node 26\.\d+\.\d+\)\n$/);
  const packages = readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(packages.filter((name) => !name.startsWith('node'))).toEqual(['selvage']);
});

test('npx selvage check reads YAML', () => {
  const args = ['--offline', 'selvage', 'check', shop];
  const { status, stdout } = spawnSync('npx', args, { cwd: app, env, encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, 'nothing to mend in 19 resources of 3 files\n']);
});

test('selvage demo runs the example, whose programs are TypeScript', () => {
  const { status, out } = selvage('demo', '--once');
  expect(out).toMatch(/\b(\d+) of \1 calls went as expected$/m);
  expect(status).toBe(0);
});

test('selvage up runs the programs of a folder, behind sidecars that count', async () => {
  cpSync(join(app, shop), join(app, 'shop'), { recursive: true });
  writeFileSync(join(app, 'shop/apps/package.json'), '{ "type": "module" }\n');
  const args = ['up', 'shop', '--send', '--first-port', '24000'];
  const child = spawn(join(app, 'node_modules/.bin/selvage'), args, { cwd: app, env });
  const ended = once(child, 'exit');
  let out = '';
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  try {
    await expect.poll(() => out, { timeout: 40_000 }).toMatch(/^18 of 18 calls .*$[^]*Ctrl-C/m);
    const urls = [...out.matchAll(/(http:\S+)\/help$/gm)].map(([, url]) => url ?? '');
    const pages = await Promise.all(
      urls.map(async (url) => (await fetch(`${url}/stats/prometheus`)).text()),
    );
    const counting = pages.filter((page) => page.includes('istio_requests_total{'));
    expect(counting).toHaveLength(3);
  } finally {
    child.kill('SIGINT');
  }
  expect(await ended).toEqual([0, null]);
});

test('selvage inject adds the sidecar', () => {
  const { status, out } = selvage('inject', join(shop, 'shop.yaml'));
  expect(out).toContain('name: selvage-proxy');
  expect(status).toBe(0);
});

test('selvage replay has its sidecar at hand, and that its external authorizers', () => {
  const few = readCases(({ name }) => /^probe\/custom-(?:only|then|two)/.test(name));
  expect(few.length).toBeGreaterThan(3);
  writeFileSync(join(app, 'cases.json'), JSON.stringify(few));
  const { out } = selvage('replay', '--through-sidecar', 'cases.json');
  expect(out).toMatch(/^\d{2} passed, 0 failed/m);
});

test("a user's own tests import selvage/test, under the machine's Node", () => {
  const text = `import { mesh } from 'selvage/test';
    const shop = await mesh('${shop}');
    const call = { to: 'payments/payments', method: 'POST', path: '/api/v1/charges' };
    await shop.allows({ ...call, from: 'billing/billing-sa' });
    console.log((await shop.denies({ ...call, from: 'none' })).decision);\n`;
  writeFileSync(join(app, 'own.mjs'), text);
  const options = { cwd: app, env, encoding: 'utf8' } as const;
  const { stdout, stderr } = spawnSync('node', ['own.mjs'], options);
  expect(stdout + stderr).toBe('closed\n');
});

test('its types are whole, also for a compiler that checks libraries', () => {
  const text = `import { mesh, type MeshCall } from 'selvage/test';
    const call: MeshCall = { from: 'a/b', to: 'c/d' };
    const decision: 'allow' | 'deny' | 'unauthenticated' | 'badrequest' | 'closed' | 'other' =
      (await (await mesh('x')).call(call)).decision;
    export const wrong: MeshCall = { from: 'a/b', to: 'c/d', verb: decision };\n`;
  writeFileSync(join(app, 'own.mts'), text);
  const flags = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--types', ''];
  const options = { cwd: app, encoding: 'utf8' } as const;
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(
    tsc,
    [...flags, '--module', 'nodenext', '--target', 'es2022', 'own.mts'],
    options,
  );
  expect(stdout.match(/error TS.*/g)).toEqual([expect.stringContaining("'verb' does not exist")]);
  expect(status).not.toBe(0);
});
