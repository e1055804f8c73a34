// Lines reach the sink, whenever they come.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test, vi } from 'vitest';

import { LogSink, sinkDefaults } from '#sidecar/telemetry/log-sink.ts';

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
