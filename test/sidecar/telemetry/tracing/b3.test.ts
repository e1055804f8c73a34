// B3: what is read of both forms, what is written, and that nothing malformed is believed.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { Trace } from '#sidecar/telemetry/trace-context.ts';
import { parseSingle, readB3, writeB3 } from '#sidecar/telemetry/tracing/b3.ts';

import { FakeRequest } from '../exchanges.ts';

const traceId = '463ac35c9f6413ad48485a3953bb6124';
const spanId = 'a2fb4a1d1a96d312';
const parentId = '0020000000000001';

function request(...headers: [string, string][]): FakeRequest {
  return new FakeRequest('GET', '/', headers);
}

test('the single line: with and without decision and parent, or a decision alone', () => {
  const padded = traceId.slice(16).padStart(32, '0');
  const none = { traceId: '', spanId: '' };
  const cases: readonly [string, object | null][] = [
    [`${traceId}-${spanId}-1-${parentId}`, { traceId, spanId, sampled: true, debug: false }],
    [`${traceId}-${spanId}-0`, { traceId, spanId, sampled: false, debug: false }],
    [`${traceId}-${spanId}-d`, { traceId, spanId, sampled: true, debug: true }],
    [`${traceId}-${spanId}`, { traceId, spanId, sampled: null, debug: false }],
    [`${traceId.slice(16)}-${spanId}-1`, { traceId: padded, spanId, sampled: true, debug: false }],
    ['0', { ...none, sampled: false, debug: false }],
    ['1', { ...none, sampled: true, debug: false }],
    ['d', { ...none, sampled: true, debug: true }],
    ['', null],
    ['2', null],
    ['constructor', null],
    [traceId, null],
    [`${traceId}-${spanId}-`, null],
    [`${traceId}-${spanId}-2`, null],
    [`${traceId}-${spanId}-1-`, null],
    [`${traceId}-${spanId}-1-${parentId}-`, null],
    [`${traceId.toUpperCase()}-${spanId}-1`, null],
    [`${'0'.repeat(32)}-${spanId}-1`, null],
    [`${traceId}-${'0'.repeat(16)}-1`, null],
    [`${traceId}-${spanId.slice(1)}-1`, null],
  ];
  for (const [value, wanted] of cases) expect([value, parseSingle(value)]).toEqual([value, wanted]);
});

test('several lines: each once, ids together, decisions of old and new tracers', () => {
  const ids: [string, string][] = [
    ['x-b3-traceid', traceId],
    ['x-b3-spanid', spanId],
  ];
  const cases: readonly [[string, string][], object | null][] = [
    [ids, { traceId, spanId, sampled: null, debug: false, several: true, single: false }],
    [[...ids, ['x-b3-sampled', '1']], { sampled: true }],
    [[...ids, ['x-b3-sampled', 'false']], { sampled: false }],
    [[...ids, ['x-b3-sampled', '0'], ['x-b3-flags', '1']], { sampled: true, debug: true }],
    [[['x-b3-sampled', '0']], { traceId: '', sampled: false }],
    [[['x-b3-sampled', 'yes']], null],
    [[...ids, ['x-b3-sampled', 'yes']], null],
    [[...ids, ['x-b3-traceid', traceId]], null],
    [[...ids, ['x-b3-parentspanid', 'x']], { traceId }],
    [[['x-b3-traceid', traceId]], null],
    [[['x-b3-spanid', spanId]], null],
    [[['x-b3-other', '1']], null],
    [[], null],
  ];
  for (const [headers, wanted] of cases) {
    const told = readB3(request(...headers));
    expect([headers, told === null]).toEqual([headers, wanted === null]);
    expect(told ?? {}).toMatchObject(wanted ?? {});
  }
});

test('of both forms the single line counts, and a malformed or repeated one says nothing', () => {
  const single: [string, string] = ['b3', `${traceId}-${spanId}-1`];
  const several: [string, string][] = [
    ['x-b3-traceid', '1'.repeat(32)],
    ['x-b3-spanid', '2'.repeat(16)],
  ];
  expect(readB3(request(single, ...several))).toMatchObject({
    traceId,
    single: true,
    several: true,
  });
  const fallback = { traceId: '1'.repeat(32), single: false, several: true };
  expect(readB3(request(['b3', 'x'], ...several))).toMatchObject(fallback);
  expect(readB3(request(single, single, ...several))).toMatchObject(fallback);
});

test('whatever comes, what is believed is well formed, and comes back as it is written', () => {
  const digits = fc.string({
    unit: fc.constantFrom(...'0 1 2 3 a f A g'.split(' ')),
    maxLength: 34,
  });
  const id = fc.oneof(digits, fc.constantFrom(traceId, spanId, parentId, '', '0'.repeat(16)));
  const value = fc.oneof(
    fc.array(id, { maxLength: 5 }).map((parts) => parts.join('-')),
    fc.tuple(id, id, fc.constantFrom('0', '1', 'd', '', '2'), id).map((parts) => parts.join('-')),
    fc.string(),
  );
  const name = fc.constantFrom('b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-b3-flags');
  const lines = fc.array(fc.tuple(name, fc.oneof(value, id)), { maxLength: 5 });
  fc.assert(
    fc.property(lines, (headers) => {
      const told = readB3(request(...headers));
      if (told === null) return;
      expect(told.single || told.several).toBe(true);
      expect(`${told.traceId} ${told.spanId}`).toMatch(
        /^(?: |(?!0{32})[0-9a-f]{32} (?!0{16})[0-9a-f]{16})$/,
      );
      const next = request(...headers);
      writeB3(next, told, new Trace(traceId, spanId, parentId, told.sampled ?? false));
      expect(readB3(next)).toMatchObject({ traceId, spanId, sampled: told.sampled ?? false });
    }),
    { numRuns: 3000, seed: 5 },
  );
});
