// Path templates of google.api.http: what matches, and what their variables are then.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { compileTemplate } from '#sidecar/transform/path-template.ts';

function match(template: string, path: string): Record<string, string> | null {
  const found = compileTemplate(template).match(path.slice(1).split('/'));
  return found === null ? null : Object.fromEntries(found);
}

test.each([
  ['/v1/books', '/v1/books', {}],
  ['/v1/books', '/v1/books/1', null],
  ['/v1/books/{id}', '/v1/books/a%2Fb%20c', { id: 'a/b c' }],
  ['/v1/books/{id}', '/v1/books/', null],
  ['/v1/books/{id}', '/v1/books/%zz', null],
  [
    '/v1/{name=shelves/*}/books/{book.id}',
    '/v1/shelves/7/books/8',
    { name: 'shelves/7', 'book.id': '8' },
  ],
  ['/v1/{name=shelves/*}/books/{book.id}', '/v1/racks/7/books/8', null],
  ['/v1/{name=files/**}', '/v1/files/a/b%2Fc%20d', { name: 'files/a/b%2Fc d' }],
  ['/v1/{name=**}:read', '/v1/a/b:read', { name: 'a/b' }],
  ['/v1/books/{id}:read', '/v1/books/7', null],
  ['/v1/*/x', '/v1/anything/x', {}],
])('%s and %s', (template, path, values) => {
  expect(match(template, path)).toEqual(values);
});

test.each([
  ['v1', 'does not begin with a slash'],
  ['/v1/{id', 'has a { without its }'],
  ['/v1/**/x', 'has ** before its end'],
  ['/v1/{a}/{a}', 'has a variable twice'],
  ['/v1/{a}b', 'has text behind a variable'],
  ['/v1/{1}', 'has the variable "1"'],
  ['/v1//x', 'has the segment ""'],
  ['/v1/x:', 'has the verb ""'],
])('%s is refused', (template, why) => {
  expect(() => compileTemplate(template)).toThrow(why);
});

test('literals go before variables, those with a verb before all', () => {
  const templates = ['/v1/**', '/v1/*', '/v1/a', '/v1/*:b'];
  const ranked = templates.map((text) => [compileTemplate(text).rank, text] as const);
  const order = ranked.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  expect(order).toEqual(['/v1/*:b', '/v1/a', '/v1/*', '/v1/**']);
});

test('any value that is put into a path is read from it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (id) => {
      expect(match('/v1/{id}/x', `/v1/${encodeURIComponent(id)}/x`)).toEqual({ id });
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.string(), (template, path) => {
      expect(
        refusalOf(() => compileTemplate(`/${template}`).match(path.slice(1).split('/'))),
      ).toContain('the path');
    }),
  );
});

/** What it throws; where it does not, what a refusal would begin with. */
function refusalOf(run: () => unknown): string {
  try {
    run();
    return 'the path is taken';
  } catch (error) {
    return String(error);
  }
}
