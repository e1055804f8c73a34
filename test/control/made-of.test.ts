import { expect, test } from 'vitest';

import { keptFor, madeFrom, madeOf, madeOfChanges } from '#control/made-of.ts';

const written = (generation: number) => ({
  kind: 'VirtualService',
  metadata: { namespace: 'shop', name: 'web', generation },
});

test('what was made says of what; what was made of nothing says nothing', () => {
  const one = written(1);
  expect(madeOf(madeFrom({}, [one]))).toEqual([one]);
  expect(madeOf(madeFrom({}, []))).toEqual([]);
  expect(madeOf({})).toEqual([]);
});

test('an object that is used on is made of the newest, and that is told as a change', () => {
  const [first, second] = [written(1), written(2)];
  const kept = madeFrom({}, [first]);
  const before = madeOfChanges();
  expect(keptFor(kept, madeFrom({}, [first]))).toBe(kept);
  expect(keptFor(kept, kept)).toBe(kept);
  expect(madeOfChanges()).toBe(before);
  expect(keptFor(kept, madeFrom({}, [second]))).toBe(kept);
  expect(madeOf(kept)).toEqual([second]);
  expect(madeOfChanges()).toBe(before + 1);
  keptFor(kept, {});
  expect(madeOf(kept)).toEqual([]);
});
