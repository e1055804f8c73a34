import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { diffJson, equalJson } from '#api/injection/json-patch.ts';

import { patched } from './json-patched.ts';

test('equal values give no operation, in whatever order their keys stand', () => {
  expect(diffJson({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toEqual([]);
});

test('what comes into a list moves nothing else', () => {
  const before = { list: [{ name: 'a', x: 1 }, { name: 'b' }] };
  const after = { list: [{ name: 'new' }, { name: 'a', x: 2 }, { name: 'b' }, { name: 'last' }] };
  expect(diffJson(before, after)).toEqual([
    { op: 'add', path: '/list/0', value: { name: 'new' } },
    { op: 'replace', path: '/list/1/x', value: 2 },
    { op: 'add', path: '/list/3', value: { name: 'last' } },
  ]);
});

test('slashes and tildes of keys are escaped', () => {
  expect(diffJson({ 'a/b~c': 1 }, {})).toEqual([{ op: 'remove', path: '/a~1b~0c' }]);
});

test('a value of another type is replaced whole', () => {
  expect(diffJson({ a: [] }, { a: {} })).toEqual([{ op: 'replace', path: '/a', value: {} }]);
  expect(diffJson(null, { a: 1 })).toEqual([{ op: 'replace', path: '', value: { a: 1 } }]);
});

test('lists of thousands cost no minute', () => {
  const before = Array.from({ length: 5000 }, (_, i) => ({ name: `a${i}` }));
  const after = before.map(({ name }, i) => (i % 2 === 0 ? { name } : { name: `b${i}` }));
  expect(equalJson(patched(before, diffJson(before, after)), after)).toBe(true);
});

const named = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), x: fc.jsonValue() });
const values = fc.oneof(
  fc.jsonValue(),
  fc.array(named),
  fc.array(fc.constantFrom(1, 2, 3, 'x')),
  fc.dictionary(fc.constantFrom('a', '/', '~', '~1', '__proto__', ''), fc.array(named)),
);

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test('any value becomes any other by the patch between them', () => {
  fc.assert(
    fc.property(values, values, (before, after) => {
      const [from, to] = [plain(before), plain(after)];
      expect(equalJson(patched(from, diffJson(from, to)), to)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
