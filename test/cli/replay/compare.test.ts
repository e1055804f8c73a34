// What counts as the same as recorded.
import { expect, test } from 'vitest';

import { compare } from '#cli/replay/compare.ts';

const call = {
  source: { identity: null, ip: '10.0.0.1' },
  destination: { ip: '10.0.0.2', port: 80 },
};
const allowed = { decision: 'allow', details: '', reason: '' } as const;

test('404 is not 426, where the status is known', () => {
  const recorded = { decision: 'other', status: 426 } as const;
  const observed = { decision: 'other', details: '', reason: '' } as const;
  expect(compare(call, recorded, { ...observed, status: 426 }).result).toBe('passed');
  expect(compare(call, recorded, observed).result).toBe('passed');
  expect(compare(call, recorded, { ...observed, status: 404 })).toEqual({
    result: 'failed',
    expected: 'other (426)',
    got: 'other (404)',
  });
});

test('an admitted request has to arrive under the path and authority that were judged', () => {
  const recorded = { decision: 'allow', path: '/a', authority: 'x' } as const;
  const arrived = { ...allowed, path: '/a', authority: 'x' };
  expect(compare(call, recorded, arrived).result).toBe('passed');
  expect(compare(call, recorded, { ...arrived, path: '' }).result).toBe('passed');
  expect(compare(call, recorded, { ...arrived, path: '/b' })).toMatchObject({ got: 'path /b' });
  expect(compare(call, recorded, { ...arrived, authority: 'y' }).result).toBe('failed');
});

test('bytes that the TCP rules let pass are not HTTP that was let pass', () => {
  const asBytes = { decision: 'allow', as: 'tcp' } as const;
  expect(compare(call, asBytes, { ...allowed, protocol: 'tcp' }).result).toBe('passed');
  expect(compare(call, asBytes, { ...allowed, protocol: 'http' }).result).toBe('failed');
  expect(compare(call, { decision: 'allow' }, { ...allowed, protocol: 'tcp' }).result).toBe(
    'failed',
  );
  const bytes = { ...call, kind: 'tcp' } as const;
  expect(compare(bytes, { decision: 'allow' }, { ...allowed, protocol: 'tcp' }).result).toBe(
    'passed',
  );
});

test('a call that was made otherwise is compared with what that one must give', () => {
  const instead = { decision: 'deny', details: 'rbac_access_denied_matched_policy[none]' } as const;
  const observed = { ...allowed, instead };
  expect(compare(call, { decision: 'allow' }, observed)).toMatchObject({
    expected: 'deny by default',
  });
});
