import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { compilePlace, type KeyView } from '#policy/api-keys/places.ts';

/** A request of which only what places look at is there. */
class View implements KeyView {
  path: string;
  #lines: [string, string][];

  constructor(path: string, lines: readonly (readonly [string, string])[] = []) {
    this.path = path;
    this.#lines = lines.map(([name, value]) => [name, value]);
  }

  values(name: string): string[] {
    return this.#lines.filter(([one]) => one === name).map(([, value]) => value);
  }

  cut(names: readonly string[]): void {
    this.#lines = this.#lines.filter(([one]) => !names.includes(one));
  }

  add(lines: readonly (readonly [string, string])[]): void {
    for (const [name, value] of lines) this.#lines.push([name, value]);
  }
}

const places = [{ header: 'k' }, { header: 'k', prefix: 'Key ' }, { query: 'k' }, { cookie: 'k' }];
const parts = fc.array(
  fc.constantFrom('k', 'K', '=', '&', ';', '"', ' ', '%6b', '%', '?', 'Key ', 'x'),
  {
    maxLength: 20,
  },
);
const texts = parts.map((all) => all.join(''));

test('whatever a request is like, a place that was cut has no key, and the rest is as it was', () => {
  fc.assert(
    fc.property(texts, fc.array(texts), fc.constantFrom(...places), (query, values, place) => {
      const lines = values.flatMap((value) => [['k', value] as const, ['cookie', value] as const]);
      const view = new View(`/p?${query}`, [...lines, ['other', 'stays']]);
      const compiled = compilePlace(place);
      compiled.cut(view);
      expect(compiled.find(view)).toEqual([]);
      expect(view.values('other')).toEqual(['stays']);
      expect(view.path.startsWith('/p')).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('parameters are found as URLSearchParams finds them, except that + is no blank', () => {
  const place = compilePlace({ query: 'k' });
  const names = fc.constantFrom('k', 'kk', 'é', '');
  const value = fc.string({ unit: 'grapheme', maxLength: 10 });
  fc.assert(
    fc.property(fc.array(fc.tuple(names, value)), (pairs) => {
      const query = pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
      const expected = new URLSearchParams(query).getAll('k');
      expect(place.find(new View(`/?${query}`))).toEqual(expected);
    }),
  );
  expect(place.find(new View('/?k=a+b'))).toEqual(['a+b']);
});
