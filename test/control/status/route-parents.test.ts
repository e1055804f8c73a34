import { expect, test } from 'vitest';

import {
  controllerName,
  enforcedOf,
  type RouteFinding,
  routeStatus,
} from '#control/status/route-parents.ts';

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
  enforcement: { generation: 3, enforced: 1, of: 2, missing: ['shop/web-1'], refusals: [] },
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
            expect.objectContaining({
              type: 'Enforced',
              status: 'False',
              reason: 'Pending',
              message: 'enforced by 1 of 2 sidecars',
            }),
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
  expect(enforcedOf(changed?.status, 3)).toEqual([{ holds: false, reason: 'NotAccepted' }]);
});

test('a route is enforced once all sidecars that it concerns have it, at the parents that accept it', () => {
  const enforcement = { ...finding.enforcement, enforced: 2, missing: [] };
  const { status } = routeStatus({ ...finding, enforcement }, {}, now) ?? {};
  expect(enforcedOf(status, 3)).toEqual([{ holds: true, reason: 'Enforced' }]);
  expect(enforcedOf(status, 4)).toEqual([]);
  const nowhere = { ...finding.enforcement, enforced: 0, of: 0 };
  const unused = routeStatus({ ...finding, enforcement: nowhere }, {}, now);
  expect(enforcedOf(unused?.status, 3)).toEqual([{ holds: false, reason: 'NoSidecars' }]);
  const foreign = { parents: [{ controllerName: 'other', conditions: [{ type: 'Enforced' }] }] };
  expect(enforcedOf(foreign, 3)).toEqual([]);
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
        { type: 'Enforced', status: 'False', reason: 'NotAccepted' },
      ],
    },
  ]);
});
