import { assert, constantFrom, dictionary, jsonValue, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';

import { ejectionLines, leftOutOf } from '#cli/cluster/sidecar-ejections.ts';

test('an endpoint that is ejected for the second time is told with the second reason', () => {
  const event = { event: 'ejected', address: '10.0.0.1:80', forMs: 30_000 };
  const view = {
    cluster: 'api:80',
    endpoints: [{ address: '10.0.0.1:80', workload: 'shop/api', health: 'ejected' }],
    ejections: [
      { ...event, at: '2026-01-01T00:00:00Z', reason: 'consecutive-5xx' },
      { ...event, at: '2026-01-01T00:00:40Z', event: 'returned', reason: 'consecutive-5xx' },
      { ...event, at: '2026-01-01T00:01:00Z', reason: 'consecutive-local-origin', forMs: 60_000 },
    ],
  };
  const ejections = new Map([['shop/web', leftOutOf([view])]]);
  expect(ejectionLines(ejections, Date.parse('2026-01-01T00:01:10Z'), false)).toEqual([
    'shop/web:',
    '    10.0.0.1:80 (shop/api) of api:80 ejected 10s ago for at least 60s: connections in a row that failed',
  ]);
});

test('whatever a sidecar answers, it is read', () => {
  const names = constantFrom('cluster', 'endpoints', 'ejections', 'address', 'health', 'event');
  const odd = oneof(jsonValue(), dictionary(names, oneof(jsonValue(), constantFrom('ejected'))));
  assert(
    property(odd, odd, (a, b) => {
      for (const answer of [a, [a, b], [{ endpoints: [a], ejections: b }]]) {
        const lines = ejectionLines(new Map([['shop/web', leftOutOf(answer)]]), 0, false);
        expect(lines.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 300 },
  );
});
