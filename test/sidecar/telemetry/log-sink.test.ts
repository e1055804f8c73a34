// Lines reach the sink, whenever they come.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { array, assert, nat, property } from 'fast-check';
import { afterAll, expect, test, vi } from 'vitest';

import { LogSink, sinkDefaults } from '#sidecar/telemetry/log-sink.ts';
import { fitPiece, pieceEnd } from '#sidecar/telemetry/pipe-pieces.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-sink-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a line that comes during a write, with none after it, is written soon all the same', async () => {
  const path = join(folder, 'access.log');
  const sink = new LogSink({ ...sinkDefaults, path, flushAfterMs: 10, warn: () => undefined });
  const written = (text: string): Promise<void> =>
    vi.waitFor(() => expect(readFileSync(path, 'latin1')).toBe(text), { timeout: 2000 });
  sink.append('one\n');
  await written('one\n');
  sink.append('two\n');
  sink.flush();
  sink.append('three\n');
  // As its timer would while the write is slow.
  sink.flush();
  await written('one\ntwo\nthree\n');
  await sink.close(1000);
});

const command = `'${process.execPath}' '${join(import.meta.dirname, 'pipe-writer.ts')}'`;

test.each([
  ['pipe', `set -o pipefail; ${command} | cat`],
  // Which Node gives its children.
  ['socket', `exec ${command}`],
])('lines of several threads stay whole in a %s that is read slowly', async (_, script) => {
  const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let text = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  for await (const chunk of child.stdout) {
    text += (chunk as Buffer).toString('latin1');
    await sleep(1);
  }
  expect(errors).toBe('');
  expect(await ended).toEqual([0, null]);
  const lines = text.split('\n').slice(0, -1);
  expect(lines.filter((line) => !/^<\d:\d+:x*>$/.test(line))).toEqual([]);
  expect(lines.length).toBe(4 * 4000);
});

test('a line that a pipe cannot take whole is cut, and says so', () => {
  const long = `${'a'.repeat(9000)}\n`;
  expect(fitPiece('short\n')).toBe('short\n');
  expect(fitPiece(long)).toHaveLength(4096);
  expect(fitPiece(long)).toMatch(/^a+ \[cut\]\n$/);
});

test('pieces are whole lines of at most 4,096 bytes, and together everything', () => {
  assert(
    property(array(nat(4095), { maxLength: 40 }), (lengths) => {
      const bytes = Buffer.from(lengths.map((length) => `${'x'.repeat(length)}\n`).join(''));
      for (let at = 0; at < bytes.length;) {
        const end = pieceEnd(bytes, at);
        expect(end - at).toBeGreaterThan(0);
        expect(end - at).toBeLessThanOrEqual(4096);
        expect(bytes[end - 1]).toBe(10);
        at = end;
      }
    }),
  );
});
