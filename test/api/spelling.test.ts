import { expect, test } from 'vitest';

import { nearest } from '#api/spelling.ts';

test('a word with few slips is what it was meant to be', () => {
  expect(nearest('principle', ['principals', 'namespaces'])).toBe('principals');
  expect(nearest('GTE', ['PUT', 'GET'])).toBe('GET');
  expect(nearest('METHODS', ['methods'])).toBe('methods');
});

test('a word of its own is nothing else', () => {
  expect(nearest('foo', ['bar', 'source'])).toBeNull();
  expect(nearest('x'.repeat(100_000), ['x'])).toBeNull();
  expect(nearest('', ['source'])).toBeNull();
});
