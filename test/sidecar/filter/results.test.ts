import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { FilterFailure } from '#sidecar/filter/host.ts';
import { readRequestResult, readResponseResult } from '#sidecar/filter/results.ts';

test('edits and answers are read', () => {
  expect(readRequestResult(undefined)).toBeNull();
  expect(readRequestResult({ path: '/a?b', headers: { set: { A: 'b' } }, body: 'c' })).toEqual({
    path: '/a?b',
    remove: [],
    set: [['a', 'b']],
    add: [],
    body: Buffer.from('c'),
  });
  expect(readRequestResult({ respond: { status: 204 } })).toEqual({
    status: 204,
    headers: [],
    body: Buffer.alloc(0),
  });
});

test('whatever a filter gives, it is read or refused, and never splits a head', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('a\r\nb: c', '/a b', '/#x', '\0', '/ok'));
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 3 }), text, fc.constant(undefined));
  const headers = fc.record({ set: fc.dictionary(text, odd), add: odd, remove: odd });
  const result = fc.oneof(
    odd,
    fc.record({ path: odd, headers: fc.oneof(odd, headers), body: odd, respond: odd }),
    fc.record({ respond: fc.record({ status: odd, headers: odd, body: odd }) }),
  );
  fc.assert(
    fc.property(result, (given) => {
      for (const read of [readRequestResult, readResponseResult]) {
        expect(outcomeOf(read, given)).not.toMatch(/\\r|\\n|\\u0000/);
      }
    }),
    { numRuns: 2000 },
  );
});

/** A failure of another kind is thrown on. */
function outcomeOf(read: (given: unknown) => unknown, given: unknown): string {
  try {
    return JSON.stringify(read(given)) ?? '';
  } catch (error) {
    if (error instanceof FilterFailure) return 'refused';
    throw error;
  }
}
