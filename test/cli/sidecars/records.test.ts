// What sidecars of whatever version tell is read, or left out; and nothing of it controls a terminal.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { callText } from '#cli/calls/record-text.ts';
import { reasonOf } from '#cli/calls/record-words.ts';
import { allPrintable, cut, printable, printableJson } from '#cli/printable.ts';
import { callRecordOf, callRecordsOf, edgeCountsOf } from '#cli/sidecars/records.ts';
import { edgeRows } from '#cli/traffic/edge-rows.ts';
import { answered, denial, edge, failure } from './call-records.ts';

test('a record is read as it was told', () => {
  for (const record of [denial(), answered(), failure({ dryRun: ['x would deny'] })]) {
    expect(callRecordOf(JSON.parse(JSON.stringify(record)))).toEqual(record);
  }
  expect(edgeCountsOf([edge()])).toEqual([edge()]);
  expect(callRecordOf({ dropped: 3 })).toBeNull();
  expect(callRecordsOf({})).toEqual([]);
});

test('whatever JSON a record is, it is told in printable lines', () => {
  const odd = fc.record(
    Object.fromEntries(Object.keys(denial()).map((key) => [key, fc.jsonValue()])),
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(odd, fc.string({ unit: 'binary' }), (value, path) => {
      const record = callRecordOf({ ...value, at: '2026-11-27T14:24:40.935Z', path });
      if (record === null) throw new Error('it has a time');
      const text = callText({ record: allPrintable(record), pod: 'a/b' }, [], 0, false);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      expect(typeof reasonOf(record)).toBe('string');
    }),
  );
});

test('whatever JSON edges are, they make rows', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), (value) => {
      for (const row of edgeRows(edgeCountsOf(value))) expect(row.source).not.toBe('');
    }),
  );
});

test('text is made printable, JSON too, and that is still the same value', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      const json = printableJson({ text }, 0);
      expect(json).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json)).toEqual({ text });
    }),
  );
  expect(printable('grüße 🙂')).toBe('grüße 🙂');
  expect(cut('abcdef', 4)).toBe('abc…');
  expect(cut('abcd', 4)).toBe('abcd');
});
