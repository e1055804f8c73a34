import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { readYaml } from '#api/yaml.ts';
import { inject } from '#cli/inject.ts';

const cases = join(import.meta.dirname, '../data/injection');
const names = readdirSync(cases).filter((name) => name.endsWith('.yaml'));
const folder = mkdtempSync(join(tmpdir(), 'selvage-inject-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: string[], cwd = folder, stdin = ''): Promise<Run> {
  let out = '';
  let err = '';
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    cwd,
    tty: false,
  };
  const status = await inject(args, io, Readable.from([Buffer.from(stdin)]));
  // The version is that of the release.
  out = out.replaceAll(/(\\?"version\\?":\\?")\d+\.\d+\.\d+(\\?")/g, '$1VERSION$2');
  return { status, out, err };
}

const image = ['--image', 'selvage/selvage:VERSION'];

test.each(names)('%s becomes what is expected', async (name) => {
  const { status, out, err } = await run(['-f', name, ...image], cases);
  expect(status).toBe(0);
  const expected = join(cases, 'expected', name);
  await expect(`${out}${err.replaceAll(/^/gm, '# ').replace(/# $/, '')}`).toMatchFileSnapshot(
    expected,
  );
});

test.each(names)('%s, injected, is not injected again', async (name) => {
  const { out } = await run(['-f', name, ...image], cases);
  const again = await run(['-f', '-'], cases, out);
  expect(again.out).toBe(out);
});

test.each(names)('%s is the same as JSON', async (name) => {
  const yaml = await run(['-f', name, ...image], cases);
  const json = await run(['-f', name, '--output', 'json', ...image], cases);
  const values = readYaml(yaml.out, basename(name)).documents.map(({ value }) => value);
  const whole = values.length === 1 ? values[0] : { apiVersion: 'v1', kind: 'List', items: values };
  expect(JSON.parse(json.out)).toEqual(whole);
});

test('documents without pods pass byte for byte', async () => {
  const text =
    '# top\n\n---\na:   1 # odd\n...\n---\nkind: Service\nspec: {a: [ 1,2 ]}\n---\n# end';
  const { status, out, err } = await run(['-f', '-'], folder, text);
  expect({ status, out }).toEqual({ status: 0, out: text });
  expect(err).toBe('nothing was injected: no workload says inject: "true"\n');
});

test('a workload that cannot have a sidecar ends with 1, its place and its reason, and no output', async () => {
  const text = `---\nkind: Pod\nmetadata: {name: a, labels: {inject: "true"}}\nspec: {hostNetwork: true, containers: []}\n`;
  expect(await run(['-f', '-'], folder, text)).toEqual({
    status: 1,
    out: '',
    err: 'stdin:2: Pod default/a: cannot have a sidecar: it has hostNetwork: true, so its traffic is that of the node and cannot be captured: remove hostNetwork, or write inject: "false"\n',
  });
});

test('broken YAML ends with 1', async () => {
  expect(await run(['-f', '-'], folder, 'a: [')).toMatchObject({ status: 1, out: '' });
});

test('the ConfigMap of the injector decides what is added', async () => {
  const data = { SELVAGE_INJECT_IMAGE: 'here/selvage:9', SELVAGE_INJECT_CPU_LIMIT: '' };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify({ kind: 'ConfigMap', data }));
  const { out } = await run(['-f', join(cases, 'pod.yaml'), '--config', 'config.yaml']);
  expect(out).toContain('image: here/selvage:9');
  expect(out).not.toContain('cpu: 2000m');
});

test('wrong settings in the ConfigMap are named', async () => {
  const data = { SELVAGE_INJECT_CPU_LIMIT: 'much', SELVAGE_INJECT_CAPTURE: 'none' };
  writeFileSync(join(folder, 'wrong.yaml'), JSON.stringify({ kind: 'ConfigMap', data }));
  const { status, err } = await run(['-f', join(cases, 'pod.yaml'), '--config', 'wrong.yaml']);
  expect(status).toBe(2);
  expect(err).toContain('SELVAGE_INJECT_CPU_LIMIT');
  expect(err).toContain('SELVAGE_INJECT_CAPTURE');
});

test('several files are one stream', async () => {
  writeFileSync(join(folder, 'a.yaml'), 'kind: A');
  writeFileSync(join(folder, 'b.yaml'), 'kind: B\n');
  expect((await run(['-f', 'a.yaml', '-f', 'b.yaml'])).out).toBe('kind: A\n---\nkind: B\n');
});

test.each([
  [[]],
  [['--nope']],
  [['-f', 'x', '--output', 'xml']],
  [['-f', 'a.yaml', '--config', 'a.yaml']],
])('wrong usage ends with 2: %j', async (args) => {
  const { status, out, err } = await run(args);
  expect({ status, out }).toEqual({ status: 2, out: '' });
  expect(err).toMatch(/^selvage inject: /);
});
