// The replay of all recorded cases by the command itself, as anyone would run it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

function selvage(...args: string[]): { status: number | null; out: string; err: string } {
  const options = { cwd: root, encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['cli/main.ts', ...args], options);
  return { status, out: stdout, err: stderr };
}

test('selvage replay reproduces every recorded decision', () => {
  const { status, out } = selvage('replay', 'test/data/authz');
  expect(out).toBe('13452 passed, 0 failed, 24 skipped\n');
  expect(status).toBe(0);
});

test('selvage explain answers the shell by its status', () => {
  const call = ['--from', 'shop/web', '--to', 'billing/payments', 'test/data/shop'];
  expect(selvage('explain', '--method', 'POST', '--path', '/v1/charges', ...call).status).toBe(0);
  expect(selvage('explain', ...call).status).toBe(1);
  expect(selvage('explain', ...call.slice(2)).status).toBe(2);
});

test('selvage test runs the tests beside the policies', () => {
  const { status, out } = selvage('test', 'test/data/shop');
  expect(out).toMatch(/9 passed, 0 failed\n$/);
  expect(status).toBe(0);
});
