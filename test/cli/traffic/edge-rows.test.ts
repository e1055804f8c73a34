// Counts of edges between two moments, and what both ends of an edge come to.
import { expect, test } from 'vitest';

import { countedSince, edgeRows } from '#cli/traffic/edge-rows.ts';
import { edge, nobody } from '#test/cli/sidecars/call-records.ts';

test('what was counted since is the difference of each edge', () => {
  const before = [edge({ requests: 5, failures: 1, durations: [2, 3] })];
  const after = [
    edge({ requests: 9, failures: 1, refusals: 1, durations: [2, 7] }),
    edge({ source: nobody, requests: 2 }),
  ];
  expect(countedSince(before, after)).toMatchObject([
    { requests: 4, failures: 0, refusals: 1, durations: [0, 4] },
    { requests: 2 },
  ]);
});

test('a sidecar that has started anew has counted from nothing', () => {
  const after = [edge({ requests: 3, durations: [3] })];
  expect(countedSince([edge({ requests: 50 })], after)).toEqual(after);
});

test('where the caller has no sidecar, the callee alone tells', () => {
  expect(edgeRows([edge({ source: nobody, security: 'none', requests: 4 })])).toMatchObject([
    { source: 'anonymous', requests: 4, security: ['none'], callerAccount: '' },
  ]);
});

test('both kinds of security on one edge are told', () => {
  const rows = edgeRows([edge(), edge({ security: 'none' }), edge({ security: 'unknown' })]);
  expect(rows).toMatchObject([{ security: ['mutual_tls', 'none'], requests: 30 }]);
});

test('several Services of one workload are one edge', () => {
  const outbound = { reporter: 'outbound', requests: 2 } as const;
  const one = edge({ ...outbound, service: 'b.x.svc.cluster.local' });
  const other = edge({ ...outbound, service: 'a.x.svc.cluster.local' });
  expect(edgeRows([one, other])).toMatchObject([{ services: ['a.x', 'b.x'], requests: 4 }]);
});
