import { expect, test } from 'vitest';

import { fuzzHpack } from './hpack.ts';

test('random and mutated header blocks are judged alike, and good ones survive the way', () => {
  expect(fuzzHpack(7541, 3_000)).toBe(3_000);
});
