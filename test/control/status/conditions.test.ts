import { expect, test } from 'vitest';

import type { Problem } from '#api/problem.ts';
import { conditionsOf, statusOf, statusWith, type Finding } from '#control/status/conditions.ts';

const now = new Date('2026-01-01T12:00:00.123Z');
const then = '2025-12-31T00:00:00Z';
const good: Finding = {
  generation: 3,
  inForce: 3,
  problems: [],
  enforcement: { generation: 3, enforced: 2, of: 2, missing: [], refusals: [] },
};
const mistake: Problem = {
  severity: 'error',
  code: 'principal-unknown',
  message: 'no such principal',
  mend: 'write another',
};

test('a valid resource that all enforce is accepted and enforced', () => {
  expect(conditionsOf(good)).toEqual([
    { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'valid' },
    {
      type: 'Enforced',
      status: 'True',
      reason: 'Enforced',
      message: 'enforced by 2 of 2 sidecars',
    },
  ]);
});

test('until all enforce it, it is pending, with the numbers', () => {
  const some = { generation: 3, enforced: 1, of: 2, missing: ['shop/web-1'], refusals: [] };
  expect(enforced({ ...good, enforcement: some })).toMatchObject({
    status: 'False',
    reason: 'Pending',
    message: 'enforced by 1 of 2 sidecars',
  });
  const unseen = { generation: null, enforced: 2, of: 2, missing: [], refusals: [] };
  expect(enforced({ ...good, enforcement: unseen })).toMatchObject({
    status: 'False',
    reason: 'Pending',
    message: expect.stringContaining('has not seen it yet') as string,
  });
});

test('a sidecar that refuses it is named, with its reason', () => {
  const refusals = ['shop/web-1: no such thing'];
  const some = { generation: 3, enforced: 1, of: 2, missing: ['shop/web-1'], refusals };
  expect(enforced({ ...good, enforcement: some })).toMatchObject({
    status: 'False',
    reason: 'Refused',
    message: 'enforced by 1 of 2 sidecars; it is refused by shop/web-1: no such thing',
  });
});

test('a resource that concerns no sidecar is told apart from one that all enforce', () => {
  const nobody = { generation: 3, enforced: 0, of: 0, missing: [], refusals: [] };
  expect(enforced({ ...good, enforcement: nobody })).toMatchObject({
    status: 'False',
    reason: 'NoSidecars',
  });
});

test('an invalid resource says why, in the words of check, and what is in force in its place', () => {
  const bad = { ...good, inForce: 2, problems: [mistake] };
  expect(conditionsOf(bad)).toEqual([
    {
      type: 'Accepted',
      status: 'False',
      reason: 'Invalid',
      message: 'no such principal: write another',
    },
    {
      type: 'Enforced',
      status: 'False',
      reason: 'NotAccepted',
      message: 'not accepted: generation 2 stays in force',
    },
  ]);
  expect(enforced({ ...bad, inForce: undefined })?.message).toMatch(/nothing of it is in force/);
});

test('warnings are told with the acceptance', () => {
  const warned = { ...good, problems: [{ ...mistake, severity: 'warning' } as const] };
  expect(conditionsOf(warned)?.[0]).toMatchObject({
    status: 'True',
    message: 'valid, with warnings: no such principal: write another',
  });
});

test('a generation that control has not read yet gets no conditions', () => {
  expect(conditionsOf({ ...good, inForce: 2 })).toBeNull();
  expect(conditionsOf({ ...good, inForce: undefined })).toBeNull();
});

test('a kind that no sidecar tells of is only accepted', () => {
  expect(conditionsOf({ ...good, enforcement: null })?.map(({ type }) => type)).toEqual([
    'Accepted',
  ]);
});

test('a message is cut before the API server refuses it', () => {
  const long = { ...mistake, message: 'x'.repeat(40_000) };
  expect(conditionsOf({ ...good, inForce: 1, problems: [long] })?.[0]?.message.length).toBe(1000);
});

test('conditions of others stay as and where they are', () => {
  const reconciled = { type: 'Reconciled', status: 'True', message: 'istiod', extra: [1] };
  const present = { conditions: [{ type: 'Enforced', status: 'False' }, reconciled], other: 1 };
  const { status } = statusWith(present, 3, conditionsOf(good) ?? [], now);
  expect(status.observedGeneration).toBe(3);
  expect(status.conditions).toEqual([
    expect.objectContaining({ type: 'Enforced', status: 'True' }),
    reconciled,
    expect.objectContaining({ type: 'Accepted', status: 'True' }),
  ]);
});

test('a time changes only with its status, and what is written already is no difference', () => {
  const wanted = conditionsOf(good) ?? [];
  const first = statusWith(undefined, 3, wanted, now);
  expect(first.difference).toBe('status');
  expect(first.status.conditions[0]).toMatchObject({ lastTransitionTime: '2026-01-01T12:00:00Z' });
  const old = {
    ...first.status,
    conditions: first.status.conditions.map((one) => ({
      ...(one as object),
      lastTransitionTime: then,
    })),
  };
  expect(statusWith(old, 3, wanted, now)).toEqual({ status: old, difference: 'none' });
  expect(statusWith(old, 4, wanted, now).difference).toBe('status');
  const more = { generation: 3, enforced: 3, of: 3, missing: [], refusals: [] };
  const grown = statusWith(old, 3, conditionsOf({ ...good, enforcement: more }) ?? [], now);
  expect(grown.difference).toBe('message');
  expect(grown.status.conditions[1]).toMatchObject({
    message: 'enforced by 3 of 3 sidecars',
    lastTransitionTime: then,
  });
  const fewer = { generation: 3, enforced: 1, of: 3, missing: ['a/b', 'a/c'], refusals: [] };
  const less = statusWith(old, 3, conditionsOf({ ...good, enforcement: fewer }) ?? [], now);
  expect(less.difference).toBe('status');
  expect(less.status.conditions[1]).toMatchObject({ lastTransitionTime: '2026-01-01T12:00:00Z' });
});

test('a status of any other shape is replaced, not stumbled over', () => {
  for (const present of [null, 'x', 7, [], { conditions: 'x' }, { conditions: [null, 3, {}] }]) {
    const { status, difference } = statusWith(present, 1, conditionsOf(good) ?? [], now);
    expect(difference).toBe('status');
    expect(status.conditions.length).toBeGreaterThanOrEqual(2);
    expect(statusOf(present, 'Enforced')).toBeUndefined();
    expect(statusOf(status, 'Enforced')).toBe('True');
  }
});

function enforced(finding: Finding): { message: string } | undefined {
  return conditionsOf(finding)?.find(({ type }) => type === 'Enforced');
}
