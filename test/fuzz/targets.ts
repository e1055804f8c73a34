// The parsers that are fuzzed in this process: each takes a seed and how many inputs to try.
import { fuzzFirstBytes } from './first-bytes.ts';
import { fuzzChunked, fuzzHttp1 } from './http1.ts';
import type { Difference } from './reading.ts';
import { fuzzTlsHello } from './tls-hello.ts';

export interface FuzzTarget {
  readonly name: string;
  /**
   * Tries inputs `seed`, `seed + 1`, …, each made from its number alone.
   * @param report hears of differences between readers
   * @returns how many were tried
   * @throws what no input may cause
   */
  run(seed: number, executions: number, report: (difference: Difference) => void): number;
}

export const targets: readonly FuzzTarget[] = [
  { name: 'http1', run: fuzzHttp1 },
  { name: 'chunked', run: fuzzChunked },
  { name: 'tls-hello', run: fuzzTlsHello },
  { name: 'first-bytes', run: fuzzFirstBytes },
];
