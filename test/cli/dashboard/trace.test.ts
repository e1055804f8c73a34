import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { spansOf } from '#cli/dashboard/trace.ts';

import { refusal, tracedCalls } from './fake-mesh.ts';

test('each call is nested in the one that led to it, the callee in its caller', () => {
  const spans = spansOf(tracedCalls('4bf92f3577b34da6a3ce929d0e0e4736').toReversed());
  const lines = spans.map(
    ({ record, depth }) =>
      `${' '.repeat(depth)}${record.reporter} ${record.source.workload}>${record.destination.workload} ${record.status}`,
  );
  expect(lines).toEqual([
    'outbound web>billing 200',
    ' inbound web>billing 200',
    '  outbound billing>payments 201',
    '   inbound billing>payments 201',
    '  outbound billing>payments 403',
    '   inbound billing>payments 403',
  ]);
});

test('whatever the records are, each is shown once', () => {
  const records = fc.array(
    fc.record({
      reporter: fc.constantFrom('inbound' as const, 'outbound' as const),
      at: fc.integer({ min: 0, max: 50 }).map((ms) => new Date(ms).toISOString()),
      durationMs: fc.integer({ min: 0, max: 50 }),
      method: fc.constantFrom('GET', 'POST'),
    }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(records, (changes) => {
      const all = changes.map((change) => refusal('', change));
      expect(new Set(spansOf(all).map(({ record }) => record))).toEqual(new Set(all));
      expect(spansOf(all)).toHaveLength(all.length);
    }),
  );
});
