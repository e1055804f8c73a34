import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { referencePages } from '#cli/reference/pages.ts';

import { docsFolder, matches, pageNames, readSteps, stepsOf, withFirstPort } from './page.ts';

test('a session is commands with what they print', () => {
  const text = '```console\n$ a \\\n  b\nx\n$ c &\n...\n```\n```yaml f.yaml\na: 1\n```';
  expect(readSteps(text)).toEqual([
    {
      kind: 'command',
      command: 'a \\\n  b',
      background: false,
      output: ['x'],
      where: 'local',
      line: 2,
    },
    { kind: 'command', command: 'c', background: true, output: ['...'], where: 'local', line: 5 },
    { kind: 'file', name: 'f.yaml', text: 'a: 1\n' },
  ]);
  expect(() => readSteps('```sh\nls\n```')).toThrow('line 1');
  expect(() => readSteps('```console\nls\n```')).toThrow('begins with a command');
});

test('a page that names ports can be tried with others', () => {
  const text = 'up --first-port 24100 &\ncurl 127.0.0.1:24107 payments:8080 24099 24200 1241074';
  expect(withFirstPort(text, 25000)).toBe(
    'up --first-port 25000 &\ncurl 127.0.0.1:25007 payments:8080 24099 24200 1241074',
  );
  expect(withFirstPort('24107', 25000)).toBe('24107');
});

test.each([
  [['a', 'b'], 'a\nb\n', true],
  [['a'], 'a\nb\n', false],
  [['...', 'b'], 'a\na\nb\n', true],
  [['a', '...'], 'a\n', true],
  [['a … c'], 'a b c', true],
  [['a … c'], 'a b d', false],
  [['a.c'], 'abc', false],
])('%j stands for %j: %s', (shown, printed, expected) => {
  expect(matches(shown, printed)).toBe(expected);
});

test.each(pageNames())('%s: each block can be run, and its YAML is valid', (name) => {
  for (const step of stepsOf(name)) {
    if (step.kind === 'command') continue;
    if (step.kind === 'file' && !step.name.endsWith('.yaml')) continue;
    const { problems } = loadText(step.text, name);
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  }
});

test.each(pageNames())('%s: what it links to is there', (name) => {
  const text = readFileSync(join(docsFolder, name), 'utf8');
  for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
    if (/^https?:/.test(target)) continue;
    expect(existsSync(join(docsFolder, target)), `${name}: ${target}`).toBe(true);
  }
});

test('troubleshooting.md: each message is one that the code says', () => {
  const table = readFileSync(join(docsFolder, 'troubleshooting.md'), 'utf8')
    .split('## By message')[1]
    ?.split('## By symptom')[0];
  const rows = (table ?? '').split('\n').filter((line) => line.startsWith('| `'));
  const messages = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)]);
  expect(messages.length).toBeGreaterThan(25);
  const sources = sourcesOf([
    'api',
    'ca',
    'cli',
    'control',
    'injector',
    'policy',
    'runtime',
    'sidecar',
  ]);
  for (const [, message = ''] of messages) {
    if (message === wordsOfKubernetes) continue;
    const parts = message.split('…').map((part) => part.trim());
    const said = sources.some((text) => parts.every((part) => text.includes(part)));
    if (!said) throw new Error(`nothing says: ${message}`);
  }
});

test.each([...referencePages()])(
  'reference/%s is what `npm run manifests` writes',
  (file, text) => {
    expect(readFileSync(join(docsFolder, 'reference', file), 'utf8')).toBe(text);
  },
);

const wordsOfKubernetes = 'failed calling webhook';

function sourcesOf(folders: readonly string[]): string[] {
  const root = join(docsFolder, '..');
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
    .map((file) => readFileSync(join(root, file), 'utf8'));
}
