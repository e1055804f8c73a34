import { expect, test } from 'vitest';

import { joinIndex, joinKey, placeOf, rememberColumns } from '#api/origin.ts';

test('paths are written as messages show them', () => {
  expect(joinKey('', 'spec')).toBe('spec');
  expect(joinKey('metadata.labels', 'app.io/name')).toBe('metadata.labels["app.io/name"]');
  expect(joinIndex('spec.rules', 2)).toBe('spec.rules[2]');
});

test('the nearest node that was written stands for the ones that were not', () => {
  const origin = { file: 'f', line: 3, lines: { spec: 5, 'spec.a["x.y"]': 6 } };
  rememberColumns(origin, { spec: 2, 'spec.a["x.y"]': 4 });
  expect(placeOf(origin, 'spec.a["x.y"].z[1]')).toEqual({ file: 'f', line: 6, column: 4 });
  expect(placeOf(origin, 'spec.a["q.r"]')).toEqual({ file: 'f', line: 5, column: 2 });
  expect(placeOf(origin, 'metadata')).toEqual({ file: 'f', line: 3, column: 1 });
  expect(placeOf(undefined, 'spec')).toEqual({});
});
