import { expect, test } from 'vitest';

import { controllerName, type RouteFinding, routeStatus } from '#control/status/route-parents.ts';

const now = new Date('2026-01-01T00:00:00.123Z');
const ref = { group: '', kind: 'Service', name: 'payments' };
const good = { holds: true, reason: 'Accepted', message: 'fine' };
const verdict = { accepted: good, resolvedRefs: { ...good, reason: 'ResolvedRefs' } };
const finding: RouteFinding = {
  generation: 3,
  parentRefs: [{ name: 'gateway' }, ref],
  verdicts: [null, verdict],
  problems: [],
  isOurs: (one) => one === ref,
};

test('only parents that are ours get conditions, with the generation they are about', () => {
  expect(routeStatus(finding, undefined, now)).toEqual({
    difference: 'status',
    status: {
      parents: [
        {
          parentRef: ref,
          controllerName,
          conditions: [
            {
              type: 'Accepted',
              status: 'True',
              reason: 'Accepted',
              message: 'fine',
              observedGeneration: 3,
              lastTransitionTime: '2026-01-01T00:00:00Z',
            },
            expect.objectContaining({ type: 'ResolvedRefs', reason: 'ResolvedRefs' }),
          ],
        },
      ],
    },
  });
  expect(routeStatus({ ...finding, verdicts: [null, null] }, {}, now)).toBeNull();
});

test('what is written already is no difference; a time changes only with its status', () => {
  const first = routeStatus(finding, {}, now)?.status;
  const later = new Date('2027-01-01T00:00:00Z');
  expect(routeStatus(finding, first, later)).toEqual({ status: first, difference: 'none' });
  const told = { ...verdict, accepted: { ...good, message: 'finer' } };
  expect(routeStatus({ ...finding, verdicts: [null, told] }, first, later)?.difference).toBe(
    'message',
  );
  const newer = routeStatus({ ...finding, generation: 4 }, first, later);
  expect(newer?.difference).toBe('status');
  expect(JSON.stringify(newer?.status)).not.toContain('2027');
  const bad = { ...verdict, accepted: { holds: false, reason: 'NoMatchingParent', message: 'no' } };
  const changed = routeStatus({ ...finding, verdicts: [null, bad] }, first, later);
  expect(JSON.stringify(changed?.status).match(/2027/g)).toHaveLength(1);
});

test('a parent that is no longer named loses our conditions, and keeps those of others', () => {
  const other = { parentRef: ref, controllerName: 'other', conditions: [] };
  const { status } = routeStatus(finding, { parents: [other] }, now) ?? {};
  const gone = routeStatus({ ...finding, parentRefs: [], verdicts: [] }, status, now);
  expect(gone).toEqual({ status: { parents: [other] }, difference: 'status' });
});

test('an invalid route is told what is wrong; one that control has not read is left alone', () => {
  const waiting = { ...finding, verdicts: null };
  expect(routeStatus(waiting, {}, now)).toBeNull();
  const problems = [{ severity: 'error', code: 'x', message: 'no expression' }] as const;
  expect(routeStatus({ ...waiting, problems }, {}, now)?.status.parents).toMatchObject([
    {
      conditions: [
        { type: 'Accepted', status: 'False', reason: 'UnsupportedValue', message: 'no expression' },
      ],
    },
  ]);
});
