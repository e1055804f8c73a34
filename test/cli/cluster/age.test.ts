// Lengths of time as people write and read them.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { formatAge, parseDurationMs } from '#cli/cluster/age.ts';

test.each([
  [-5, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [7_199_000, '119m'],
  [7_200_000, '2h'],
  [172_800_000, '2d'],
])('%d ms is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test.each([
  ['60s', 60_000],
  ['1m30s', 90_000],
  ['2m', 120_000],
  ['500ms', 500],
  ['1h', 3_600_000],
  ['', null],
  ['60', null],
  ['1.5s', null],
  ['s', null],
])('"%s" is %s ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test('what is written is read again, to the unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 172_799_999 }), (ms) => {
      const read = parseDurationMs(formatAge(ms)) ?? Number.NaN;
      expect(read).toBeLessThanOrEqual(ms);
      expect(ms - read).toBeLessThan(3_600_000);
    }),
  );
});
