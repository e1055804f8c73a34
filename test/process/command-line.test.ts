import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const cwd = join(import.meta.dirname, '../..');

function selvage(...args: string[]) {
  const env = { PATH: process.env['PATH'] };
  return spawnSync(process.execPath, ['cli/main.ts', ...args], { cwd, env, encoding: 'utf8' });
}

test('selvage --version names itself and its Node', () => {
  const { status, stdout } = selvage('--version');
  expect(stdout).toMatch(/^selvage \d+\.\d+\.\d+ \(Node 26\.\d+\.\d+\)\n$/);
  expect(status).toBe(0);
});

test('without a command it lists them, in lines that fit a narrow terminal', () => {
  const { status, stdout, stderr } = selvage();
  expect([status, stdout]).toEqual([2, '']);
  for (const name of ['up', 'check', 'explain', 'replay', 'status', 'wait', 'doctor']) {
    expect(stderr).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  }
  expect(Math.max(...stderr.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('a slip in the command, and one in an option, are answered with what was meant', () => {
  const command = selvage('explian', 'x');
  expect(command.status).toBe(2);
  expect(command.stderr).toBe('selvage: there is no command explian; did you mean explain?\n');
  const option = selvage('explain', '--form', 'web/web-sa', 'x');
  expect(option.status).toBe(2);
  expect(option.stderr).toBe('selvage explain: there is no option --form; did you mean --from?\n');
});

test('the help of each command tells its options and exit statuses', () => {
  expect(selvage('up', '--help').stdout).toMatch(
    /--send .*\n[^]*--otlp URL\|off .*\n[^]*Exit status: 0/,
  );
  expect(selvage('help', 'explain').stdout).toMatch(/--authorizer allow\|deny/);
  expect(selvage('wait', '--help').stdout).toMatch(
    /^Usage: selvage wait KIND\/NAME [^]*--timeout TIME [^]*--kubeconfig FILE /,
  );
});

test('without a kubeconfig a command of a cluster says where it looked', () => {
  const { status, stderr } = selvage('status');
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /^selvage status: there is no kubeconfig \(.*\.kube.config\): set KUBECONFIG/,
  );
});

test('a folder with nothing to run is said before anything starts', () => {
  const { status, stderr } = selvage('up', 'test/data/nothing-of-the-kind', '--once');
  expect(status).toBe(2);
  expect(stderr).toContain('there is no such file or folder');
  const none = selvage('up', 'manifests/examples/shop/policies.yaml', '--once');
  expect(none.status).toBe(2);
  expect(none.stderr).toMatch(/nothing to run: there is no Deployment/);
});
