import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { editQuery } from '#sidecar/authorizer/query-edit.ts';

test.each([
  ['/a?x=1&y=%20', [], [], '/a?x=1&y=%20'],
  ['/a?x=1&%78=2&y=%2f', [], ['x'], '/a?y=%2f'],
  ['/a?x=1', [], ['x'], '/a'],
  ['/a', [['b c', 'd&e']], [], '/a?b%20c=d%26e'],
  ['/a?b=1&c&b=2', [['b', '3']], [], '/a?c&b=3'],
  ['/a?%=1', [], ['x'], '/a?%=1'],
] as const)('%s set %j less %j is %s', (path, set, remove, expected) => {
  expect(editQuery(path, set, remove)).toBe(expected);
});

test('what was removed is gone, and what was set is there once, whatever is in the query', () => {
  const name = fc.constantFrom('a', 'b', '%61', 'a+b', '', '=', '&', '%');
  const query = fc
    .array(fc.tuple(name, name))
    .map((all) => all.map((one) => one.join('=')).join('&'));
  fc.assert(
    fc.property(query, fc.string({ unit: 'grapheme' }), (text, value) => {
      const edited = editQuery(`/p?${text}`, [['b', value]], ['a']);
      const read = new URLSearchParams(edited.slice(edited.indexOf('?')));
      expect(read.getAll('a')).toEqual([]);
      expect(read.getAll('b')).toEqual([Buffer.from(value).toString()]);
    }),
  );
});
