// What fuzzing has found stays mended, and a short run of every target finds nothing new.
import { expect, test } from 'vitest';

import { accepted } from './accepted.ts';
import { judgeOpening } from './first-bytes.ts';
import { examine, requestBytes } from './http1.ts';
import { Random } from './random.ts';
import type { Difference } from './reading.ts';
import { targets } from './targets.ts';
import { judgeHello } from './tls-hello.ts';
import { bytesOf, casesOf, textOf } from './wire-text.ts';

const cases = [...casesOf('found'), ...casesOf('corpus'), ...casesOf('seeds')];
const isAccepted = (difference: Difference): boolean =>
  accepted.some((one) => one.matches(difference));

test('every seed, published case and found case reads the same for all, in any split', () => {
  const random = new Random(1);
  const wrong = cases.flatMap(({ file, name, bytes }) => {
    const findings = Array.from({ length: 20 }, () => [
      ...examine(bytes, random),
      [judgeOpening(bytes, random), ''] as const,
      [judgeHello(bytes, random), ''] as const,
    ]);
    return findings
      .flat()
      .filter(([kind]) => kind !== '')
      .map(([kind, detail]) => ({ target: 'case', kind, detail, bytes, seed: 1 }))
      .filter((difference) => !isAccepted(difference))
      .map(({ kind, detail }) => `${file}, ${name}: ${kind} ${detail}`);
  });
  expect(new Set(wrong)).toEqual(new Set());
});

test.each(targets)('$name holds for 5,000 inputs', (target) => {
  const wrong: Difference[] = [];
  const executions = target.run(1, 5_000, (difference) => {
    if (!isAccepted(difference)) wrong.push(difference);
  });
  expect(executions).toBe(5_000);
  expect(wrong).toEqual([]);
});

test('an input follows from its seed alone', () => {
  const texts = [7, 8, 7].map((seed) => requestBytes(new Random(seed)));
  expect(texts[0]).toBe(texts[2]);
  expect(texts[0]).not.toBe(texts[1]);
});

test('bytes survive as text, whatever they are', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const odd = Buffer.from('# a\n== b\n\\r\r\n\n');
  expect(bytesOf(textOf(all))).toEqual(all);
  expect(bytesOf(textOf(odd))).toEqual(odd);
  expect(() => bytesOf('\\q')).toThrow('unknown escape');
});
