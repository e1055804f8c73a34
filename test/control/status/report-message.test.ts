import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { decodeReport, encodeReport, ReportMalformed } from '#control/status/report-message.ts';
import type { Generations } from '#control/status/report.ts';

import { report, sidecar } from './reports.ts';

const generations = fc
  .dictionary(fc.string({ maxLength: 5 }), fc.nat(5), { maxKeys: 5 })
  .map((one): Generations => new Map(Object.entries(one)));
const sidecars = fc
  .array(
    fc.record({
      pod: fc.string(),
      refused: fc.string(),
      ackedVersion: fc.option(fc.nat()),
      ackedAt: fc.option(fc.string()),
      inSync: fc.boolean(),
      wanted: generations,
      acked: generations,
    }),
    { maxLength: 6 },
  )
  .map((list) => list.map(({ pod, ...over }) => sidecar(pod, over)));

test('a report arrives as it was sent', () => {
  fc.assert(
    fc.property(fc.string(), generations, sidecars, (replica, known, list) => {
      const sent = report(replica, known, list);
      const wire: unknown = JSON.parse(JSON.stringify(encodeReport(sent)));
      expect(decodeReport(wire)).toEqual(sent);
    }),
    { numRuns: 200, seed: 2 },
  );
});

test('sidecars with the same snapshot share one list of its resources', () => {
  const shared: Generations = new Map([
    ['A/x/1', 1],
    ['A/x/2', 4],
  ]);
  const list = Array.from({ length: 100 }, (_, i) =>
    sidecar(`web-${i}`, { wanted: shared, acked: shared }),
  );
  const message = encodeReport(report('a', shared, list));
  expect(message.resources).toEqual([
    ['A/x/1', 1],
    ['A/x/2', 4],
  ]);
  expect(message.sets).toEqual([[0, 1]]);
});

test('whatever another sends in place of a report is refused, and nothing else happens', () => {
  const good = JSON.stringify(
    encodeReport(report('a', new Map([['A/x/1', 1]]), [sidecar('p', { wanted: new Map() })])),
  );
  const broken = fc
    .tuple(fc.nat(good.length), fc.nat(good.length), fc.string({ maxLength: 3 }))
    .map(([at, length, text]) => good.slice(0, at) + text + good.slice(at + (length % 9)));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue().map((one) => JSON.stringify(one)),
        broken,
      ),
      (text) => {
        expect(outcomeOf(text)).not.toBe('another error');
      },
    ),
    { numRuns: 3000, seed: 4 },
  );
  expect(() =>
    decodeReport({ id: 'a', replica: 'a', resources: [], known: [0], sets: [], sidecars: [] }),
  ).toThrow(ReportMalformed);
});

function outcomeOf(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'no JSON';
  }
  try {
    decodeReport(value);
    return 'a report';
  } catch (error) {
    return error instanceof ReportMalformed ? 'refused' : 'another error';
  }
}
