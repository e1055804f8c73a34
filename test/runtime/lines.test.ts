import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { LineReader, LineTooLong } from '#runtime/lines.ts';

test('lines come out the same however the bytes are cut', () => {
  const line = fc
    .string({ maxLength: 20, unit: 'grapheme' })
    .map((s) => `{${s.replaceAll('\n', '')}}`);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(40)), (lines, cuts) => {
      const reader = new LineReader(1000);
      let rest = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const read: string[] = [];
      for (const cut of cuts) {
        read.push(...reader.push(rest.subarray(0, cut)));
        rest = rest.subarray(cut);
      }
      read.push(...reader.push(rest));
      expect(read).toEqual(lines);
      expect(reader.pendingBytes).toBe(0);
    }),
    { numRuns: 300, seed: 1 },
  );
});

test('a line over the limit is refused, also when it comes in pieces and never ends', () => {
  const reader = new LineReader(10);
  expect([...reader.push(Buffer.from('12345'))]).toEqual([]);
  expect([...reader.push(Buffer.from('67890'))]).toEqual([]);
  expect(() => [...reader.push(Buffer.from('x'))]).toThrow(LineTooLong);
  expect(reader.pendingBytes).toBe(0);
});

test('a line of exactly the limit passes, and empty lines are skipped', () => {
  const reader = new LineReader(4);
  expect([...reader.push(Buffer.from('\n1234\n\r\n56\n'))]).toEqual(['1234', '56']);
});
