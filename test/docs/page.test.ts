import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { referencePages } from '#cli/reference/pages.ts';

import { docsFolder, matches, pageNames, readSteps, stepsOf } from './page.ts';
import { portBlocksOf, withFreePorts, withPortsMoved } from './ports.ts';

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

test('the ports of a block move together, in commands, outputs and files, and others stay', () => {
  const steps = readSteps(
    [
      '```console',
      '$ up --first-port 24200 &',
      'web at 127.0.0.1:24207, 24299 and 24300',
      '$ curl http://a:8080 --proxy http://127.0.0.1:24207',
      '242070 124207 10.0.0.24207 24207.5',
      '```',
      '```yaml f.yaml',
      'port: 24201',
      '```',
    ].join('\n'),
  );
  expect(portBlocksOf(steps)).toEqual(new Set([24_200]));
  expect(withPortsMoved(steps, new Map([[24_200, 30_000]]))).toMatchObject([
    { command: 'up --first-port 30000', output: ['web at 127.0.0.1:30007, 30099 and 24300'] },
    {
      command: 'curl http://a:8080 --proxy http://127.0.0.1:30007',
      output: ['242070 124207 10.0.0.24207 24207.5'],
    },
    { text: 'port: 30001\n' },
  ]);
  expect(withPortsMoved(steps, new Map())).toEqual(steps);
});

test('each block goes where nobody listens, and to a place of its own', async () => {
  const steps = readSteps(
    '```console\n$ up a --first-port 24100 &\n$ up b --first-port=24200 &\n$ call 24107 24207\n```',
  );
  const moved = await withFreePorts(steps);
  const [one = 0, other = 0] = portBlocksOf(moved);
  expect(Math.abs(one - other)).toBeGreaterThanOrEqual(100);
  expect(moved[2]).toMatchObject({ command: `call ${one + 7} ${other + 7}` });
  for (const first of [one, other]) {
    const server = createServer().listen(first + 99, '127.0.0.1');
    await expect(once(server, 'listening')).resolves.toEqual([]);
    server.close();
  }
});

test.each(pageNames())(
  '%s: each port of this machine that it calls is one that can move',
  (name) => {
    const steps = stepsOf(name);
    const firsts = [...portBlocksOf(steps)];
    for (const step of steps) {
      if (step.kind !== 'command' || step.where !== 'local') continue;
      for (const [, digits] of step.command.matchAll(/(?:127\.0\.0\.1|localhost):(\d+)/g)) {
        const port = Number(digits);
        expect(firsts.some((first) => port >= first && port < first + 100)).toBe(true);
      }
    }
  },
);

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

test.each([...referencePages()])(
  'reference/%s is what `npm run manifests` writes',
  (file, text) => {
    expect(readFileSync(join(docsFolder, 'reference', file), 'utf8')).toBe(text);
  },
);
