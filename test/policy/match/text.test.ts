// Wildcards in values, one by one and in trees, against plain string functions.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { TextTree } from '#policy/match/text-tree.ts';
import { readPattern, TextSet } from '#policy/match/text.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'B', '/', '*'), maxLength: 6 });

test('a leading star wins, and the rest is literal', () => {
  expect(readPattern('*')).toEqual({ form: 'any', text: '' });
  expect(readPattern('*mid*')).toEqual({ form: 'suffix', text: 'mid*' });
  expect(readPattern('/m*d')).toEqual({ form: 'exact', text: '/m*d' });
  expect(readPattern('/lit/**')).toEqual({ form: 'prefix', text: '/lit/*' });
  expect(readPattern('**')).toEqual({ form: 'suffix', text: '*' });
});

test('a tree finds what the text begins with, or ends with, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), word, fc.boolean(), (stored, text, backward) => {
      const tree = new TextTree<string>({ backward });
      stored.forEach((one, i) => tree.insert(one, i % 2 === 0 ? 'exact' : 'open', `${i}`));
      const wanted = stored.flatMap((one, i) => {
        const open = backward ? text.endsWith(one) : text.startsWith(one);
        return (i % 2 === 0 ? one === text : open) ? [`${i}`] : [];
      });
      const found: string[] = [];
      // Walks a part in the middle, as a path before its query is walked.
      tree.walk(`x${text}?`, 1, 1 + text.length, { visit: (items) => void found.push(...items) });
      expect(found.toSorted()).toEqual(wanted.toSorted());
      expect(tree.has(`x${text}?`, 1, 1 + text.length)).toBe(wanted.length > 0);
      const all: string[] = [];
      tree.visitAll({ visit: (items) => void all.push(...items) });
      expect(all).toHaveLength(stored.length);
    }),
    { numRuns: 2000, seed: 5 },
  );
});

test('few patterns, looped over, and many, in a tree, match alike', () => {
  fc.assert(
    fc.property(fc.array(word, { minLength: 7, maxLength: 9 }), word, (values, text) => {
      const many = new TextSet(values.map(readPattern));
      const single = values.map((value) => new TextSet([readPattern(value)]));
      expect(many.matches(text)).toBe(single.some((set) => set.matches(text)));
    }),
    { numRuns: 1000, seed: 6 },
  );
});

test('folding makes ASCII letters equal, and no others', () => {
  const set = new TextSet(['Cart.Shop', '*.EXAMPLE.com'].map(readPattern), { fold: true });
  expect(set.matches('CART.shop')).toBe(true);
  expect(set.matches('a.example.COM')).toBe(true);
  expect(set.matches('cart.shopx')).toBe(false);
  expect(new TextSet([readPattern('É')], { fold: true }).matches('é')).toBe(false);
});

test('a star needs something to be there, but for fields where it means presence', () => {
  expect(new TextSet([readPattern('*')]).matches('')).toBe(false);
  expect(new TextSet([readPattern('*')], { emptyIsPresent: true }).matches('')).toBe(true);
});
