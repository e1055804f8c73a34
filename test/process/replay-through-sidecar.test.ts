// Recorded calls through real sidecars: real sockets, real mutual TLS, and the sidecar's own log.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { type Case, readCases } from '../data/cases.ts';

const root = join(import.meta.dirname, '../..');
const recorded = join(root, 'test/data/authz');
const folder = mkdtempSync(join(tmpdir(), 'selvage-replay-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function replay(...files: string[]): Promise<Ended> {
  const args = ['cli/main.ts', 'replay', '--through-sidecar', ...files];
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const child = execFile(process.execPath, args, { cwd: root }, (_, out, err) =>
    resolve({ status: child.exitCode, out, err }),
  );
  return promise;
}

/** A file with one recorded case, changed. */
function write(name: string, change: (c: Case) => Partial<Case>): string {
  const [one] = readCases(({ name: own }) => own === 'probe/deny-beats-allow');
  if (one === undefined) throw new Error('the recording is gone');
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify([{ ...one, ...change(one) }]));
  return file;
}

test('every recorded decision comes out of a sidecar as it came out of Envoy', async () => {
  const { status, out } = await replay(recorded);
  // What is skipped is listed in policy/stricter.ts.
  expect(out).toBe('13452 passed, 0 failed, 24 skipped\n');
  expect(status).toBe(0);
  // Half a minute on two idle cores.
}, 240_000);

test('a difference names the case, the call, both decisions, and why in the words of the log', async () => {
  const file = write('changed.json', ({ expected }) => ({
    expected: expected.map((one, i) => (i === 1 ? { ...one, decision: 'closed' } : one)),
  }));
  const { status, out } = await replay(file);
  expect(out).toMatch(/^probe\/deny-beats-allow r1: expected closed, got (allow|deny)/);
  expect(out).toMatch(/\n {2}why: (allowed|denied) by foo\/\S+ rule \d \(\S+\.yaml:\d+\)/);
  expect(out).toMatch(/\d+ passed, 1 failed\n$/);
  expect(status).toBe(1);
});

test('the policy that denies is the one that the sidecar logs', async () => {
  const file = write('renamed.json', ({ expected }) => ({
    expected: expected.map((one) => ({ ...one, details: rename(one.details) })),
  }));
  const { status, out } = await replay(file);
  expect(out).toMatch(/expected deny by foo\/another rule 0, got deny by foo\/\S+ rule 0/);
  expect(status).toBe(1);
});

test('a workload that no sidecar can be started for is said so', async () => {
  const file = write('nameless.json', ({ workload }) => ({
    workload: { ...workload, namespace: '' },
  }));
  const { status, err } = await replay(file);
  expect(err).toMatch(/selvage replay: the sidecar cannot be used: it ended with 2\n$/);
  expect(status).toBe(2);
});

test('an interrupted replay leaves no sidecar behind', async () => {
  const args = ['cli/main.ts', 'replay', '--through-sidecar', recorded];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  let sidecar = 0;
  while (sidecar === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    sidecar = await childOf(child.pid ?? 0);
  }
  child.kill('SIGTERM');
  const [status] = (await once(child, 'exit')) as [number | null];
  expect(status).toBe(130);
  expect(() => process.kill(sidecar, 0)).toThrow('ESRCH');
});

function rename(details = ''): string {
  return details.replace(/-policy\[[^\]]*\]/, '-policy[another]');
}

/** The process that `pid` has started; 0 without one. */
async function childOf(pid: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile('ps', ['-eo', 'pid=,ppid='], (_, out) => resolve(out));
  const lines = (await promise).trim().split('\n');
  const pairs = lines.map((text) => text.trim().split(/\s+/).map(Number));
  return pairs.find(([, parent]) => parent === pid)?.[0] ?? 0;
}
