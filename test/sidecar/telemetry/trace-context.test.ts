// W3C Trace Context: what is read as traceparent, and identifiers.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  isDrawn,
  isSampled,
  isTraceparent,
  joinTrace,
  startTrace,
  unsampledHeader,
} from '#sidecar/telemetry/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';

test('traceparent: what the specification allows and forbids', () => {
  const good = `00-${traceId}-${parentId}-01`;
  const cases: readonly [string, boolean][] = [
    [good, true],
    [`00-${traceId}-${parentId}-ff`, true],
    [`01-${traceId}-${parentId}-01-what-comes-later`, true],
    [`01-${traceId}-${parentId}-01.x`, false],
    [`00-${traceId}-${parentId}-01-x`, false],
    [`ff-${traceId}-${parentId}-01`, false],
    [`00-${'0'.repeat(32)}-${parentId}-01`, false],
    [`00-${traceId}-${'0'.repeat(16)}-01`, false],
    [`00-${traceId.toUpperCase()}-${parentId}-01`, false],
    [`00-${traceId}-${parentId}-0`, false],
    [`00_${traceId}-${parentId}-01`, false],
    [good.replace('a', 'g'), false],
  ];
  for (const [value, valid] of cases) expect([value, isTraceparent(value)]).toEqual([value, valid]);
});

test('whatever is read as traceparent has the form of the specification', () => {
  const form = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/s;
  const edited = fc
    .tuple(fc.nat(60), fc.constantFrom('0', 'f', 'F', '-', 'g', '', '00', '\n'))
    .map(([at, text]) => {
      const good = `00-${traceId}-${parentId}-01`;
      return good.slice(0, at) + text + good.slice(at + 1);
    });
  fc.assert(
    fc.property(edited, (value) => {
      const wellFormed = form.test(value) && (value.length === 55 || !value.startsWith('00'));
      expect([value, isTraceparent(value)]).toEqual([value, wellFormed]);
    }),
    { numRuns: 2000, seed: 11 },
  );
});

test('flags are read bit by bit, identifiers are unique and well formed, the ratio is kept', () => {
  for (const [flags, sampled] of [
    ['01', true],
    ['00', false],
    ['03', true],
    ['0a', false],
    ['0b', true],
    ['f8', false],
  ] as const) {
    expect(isSampled(`00-${traceId}-${parentId}-${flags}`)).toBe(sampled);
  }
  const seen = new Set<string>();
  let drawn = 0;
  for (let i = 0; i < 20_000; i++) {
    const trace = startTrace();
    seen.add(trace.traceId).add(trace.spanId);
    if (isDrawn(0.1)) drawn++;
  }
  expect(seen.size).toBe(40_000);
  expect(isTraceparent(startTrace().header())).toBe(true);
  expect(isTraceparent(unsampledHeader())).toBe(true);
  expect(drawn).toBeGreaterThan(1700);
  expect(drawn).toBeLessThan(2300);
  expect(isDrawn(0)).toBe(false);
  expect(isDrawn(1)).toBe(true);
});

test('a span of ours is below the caller\u2019s', () => {
  const trace = joinTrace(`00-${traceId}-${parentId}-01`);
  expect(trace).toMatchObject({ traceId, parentId, sampled: true });
  expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/);
  expect(trace.header()).toBe(`00-${traceId}-${trace.spanId}-01`);
});
