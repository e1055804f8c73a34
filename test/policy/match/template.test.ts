// Path templates: Envoy's answers, and time that does not blow up.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { isTemplate, parseTemplate } from '#policy/match/template.ts';

test.each([
  [
    '/foo/{*}',
    ['/foo/a', '/foo/a?x=/b', '/foo/a%2Fb', '/foo/*'],
    ['/foo/', '/foo', '/foo/a/', '/foo/a/b'],
  ],
  ['/foo/{**}', ['/foo/', '/foo/a', '/foo/a/b/'], ['/foo', '/FOO/a', '/x/foo/a']],
  ['/foo/{*}/bar', ['/foo/a/bar', '/foo/a/bar?x'], ['/foo//bar', '/foo/a/b/bar', '/foo/bar']],
  ['/foo/{**}/bar', ['/foo//bar', '/foo/a/b/bar'], ['/foo/bar', '/foo/a/bar/']],
  ['/foo/{*}/{**}', ['/foo/a/', '/foo/a/b/c'], ['/foo/a', '/foo//a']],
  ['/{*}', ['/a', '/a.b'], ['/', '/a/b']],
  ['/{**}', ['/', '/a', '/a/b/'], []],
  ['/a.b/{*}', ['/a.b/c'], ['/axb/c']],
  ['/x/{*}/a+b$~!@', ['/x/y/a+b$~!@'], ['/x/y/aab']],
])('%s', (value, matched, missed) => {
  const template = parseTemplate(value);
  expect(matched.filter((path) => template?.matches(path) !== true)).toEqual([]);
  expect(missed.filter((path) => template?.matches(path) === true)).toEqual([]);
});

test.each([
  '/{**}/{*}',
  '/{**}/{**}',
  'a/{*}',
  '/a//{*}',
  '/{*}b',
  '/a b/{*}',
  '/{x}/{*}',
  '/x{**}',
])('%s cannot be built', (value) => {
  expect(isTemplate(value)).toBe(true);
  expect(parseTemplate(value)).toBeNull();
});

test('a star within a literal repeats the character before it, as in Envoy', () => {
  const template = parseTemplate('/foo/x{*}');
  expect(template?.prefix).toBe('/foo/');
  expect(['/foo/', '/foo/x', '/foo/xxx', '/foo/a'].filter((p) => template?.matches(p))).toEqual([
    '/foo/',
    '/foo/x',
    '/foo/xxx',
  ]);
});

const part = fc.constantFrom('a', 'b.c', '{*}', 'x{*}', '{**}', 'a*');

test('what matches a template begins with its prefix', () => {
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 5 }),
      fc.array(fc.constantFrom('a', 'b.c', '', 'x', 'aa'), { minLength: 1, maxLength: 6 }),
      (parts, segments) => {
        const template = parseTemplate(`/${parts.join('/')}`);
        const path = `/${segments.join('/')}`;
        if (template?.matches(path) !== true) return;
        expect(path.startsWith(template.prefix)).toBe(true);
      },
    ),
    { numRuns: 3000, seed: 7 },
  );
});

test('a long path costs no more than its length', () => {
  const template = parseTemplate('/{*}/{*}/{*}/a/{**}/b/c/d');
  const path = `/x/y/z/a${'/b/c'.repeat(15_000)}`;
  const from = performance.now();
  expect(template?.matches(path)).toBe(false);
  expect(performance.now() - from).toBeLessThan(200);
});
