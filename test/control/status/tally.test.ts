import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Generations } from '#control/status/report.ts';
import { enforcementOf, sidecarsOf } from '#control/status/tally.ts';

import { report, sidecar } from './reports.ts';

const key = 'AuthorizationPolicy/shop/admit';
const second: Generations = new Map([[key, 2]]);
const first: Generations = new Map([[key, 1]]);
const none: Generations = new Map();

test('sidecars of all replicas are counted, those that have not acknowledged the newest are named', () => {
  const reports = [
    report('a', second, [
      sidecar('web-0', { wanted: second, acked: second }),
      sidecar('web-1', { wanted: second, acked: first }),
      sidecar('other', { wanted: none, acked: none }),
    ]),
    report('b', second, [
      sidecar('web-2', { wanted: second, acked: none }),
      sidecar('web-3', { wanted: second, acked: second }),
    ]),
  ];
  expect(enforcementOf({ reports, lost: [], unreachable: [] }, key)).toEqual({
    generation: 2,
    enforced: 2,
    of: 4,
    missing: ['shop/web-1', 'shop/web-2'],
    refusals: [],
  });
});

test('a replica that has not seen the newest generation holds the generation back', () => {
  const sidecars = [sidecar('web-0', { wanted: first, acked: first })];
  const behind = [report('a', second), report('b', first, sidecars)];
  expect(enforcementOf({ reports: behind, lost: [], unreachable: [] }, key)).toEqual({
    generation: 1,
    enforced: 0,
    of: 1,
    missing: ['shop/web-0'],
    refusals: [],
  });
  const unaware = [report('a', second), report('b', none)];
  expect(enforcementOf({ reports: unaware, lost: [], unreachable: [] }, key).generation).toBeNull();
});

test('a resource that nobody knows concerns nobody', () => {
  const mesh = { reports: [report('a', none)], lost: [], unreachable: [] };
  expect(enforcementOf(mesh, key)).toEqual({
    generation: null,
    enforced: 0,
    of: 0,
    missing: [],
    refusals: [],
  });
});

test('a sidecar that runs without a connection is missing', () => {
  const lost = [{ namespace: 'shop', pod: 'web-9', wanted: second }];
  const mesh = { reports: [report('a', second)], lost, unreachable: ['10.0.0.2:15011'] };
  expect(enforcementOf(mesh, key)).toMatchObject({
    enforced: 0,
    of: 1,
    missing: ['shop/web-9'],
    refusals: [],
  });
});

test('a sidecar that changed its replica is counted once, by its younger connection', () => {
  const young = { connectedSince: '2026-01-02T00:00:00.000Z', wanted: second, acked: second };
  const reports = [
    report('a', second, [sidecar('web-0', young)]),
    report('b', second, [sidecar('web-0', { wanted: second, acked: first })]),
  ];
  expect(sidecarsOf(reports).map(({ replica }) => replica)).toEqual(['a']);
  expect(sidecarsOf(reports.toReversed()).map(({ replica }) => replica)).toEqual(['a']);
  expect(enforcementOf({ reports, lost: [], unreachable: [] }, key)).toMatchObject({
    enforced: 1,
    of: 1,
  });
});

test('those that enforce and those that are missing are always all', () => {
  const generations = fc
    .dictionary(fc.constantFrom('A/x/1', 'A/x/2', 'B/y/1'), fc.nat(3))
    .map((one): Generations => new Map(Object.entries(one)));
  const sidecars = fc
    .array(
      fc.record({
        pod: fc.constantFrom('p', 'q', 'r', 's'),
        wanted: generations,
        acked: generations,
      }),
    )
    .map((list) => list.map(({ pod, ...over }) => sidecar(pod, over)));
  const replica = fc
    .record({ replica: fc.constantFrom('a', 'b'), known: generations, sidecars })
    .map((one) => report(one.replica, one.known, one.sidecars));
  fc.assert(
    fc.property(fc.array(replica, { maxLength: 3 }), (reports) => {
      const pods = new Set(reports.flatMap((one) => one.sidecars.map(({ pod }) => pod)));
      for (const one of ['A/x/1', 'A/x/2', 'B/y/1']) {
        const { enforced, of, missing } = enforcementOf(
          { reports, lost: [], unreachable: [] },
          one,
        );
        expect(enforced + missing.length).toBe(of);
        expect(of).toBeLessThanOrEqual(pods.size);
        expect(new Set(missing).size).toBe(missing.length);
      }
    }),
    { numRuns: 300, seed: 7 },
  );
});
