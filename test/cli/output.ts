// An Io whose output a test can read.
import { join } from 'node:path';

import type { Io } from '#cli/io.ts';

export interface TestIo extends Io {
  readonly out: () => string;
  readonly err: () => string;
}

/** Writes to memory; paths are relative to test/data. */
export function testIo(): TestIo {
  const out: string[] = [];
  const err: string[] = [];
  return {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    cwd: join(import.meta.dirname, '../data'),
    tty: false,
    out: () => out.join(''),
    err: () => err.join(''),
  };
}
