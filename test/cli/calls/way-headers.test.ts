import { expect, test } from 'vitest';

import { editHeaders } from '#cli/calls/way-headers.ts';

test('headers are removed, set and added, whatever their case, in the order of the edits', () => {
  const headers = { 'X-Internal': 'a', 'x-tenant': ['b', 'c'], kept: 'yes' };
  const first = { remove: ['x-internal'], set: { 'x-tenant': 'store', ':authority': 'no' } };
  const second = { add: { 'x-tenant': 'more', new: '1' } };
  expect(editHeaders(headers, [first, second])).toEqual({
    'x-tenant': ['store', 'more'],
    kept: ['yes'],
    new: ['1'],
  });
});
