// Paths in normal form: Envoy's truth tables, the attacks of Istio's bulletins, and what must hold for any path.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { normalizePath } from '#policy/path.ts';

test.each([
  ['/admin', '/admin'],
  ['/admin?x=/../y#z', '/admin?x=/../y'],
  ['/admin#?x', '/admin'],
  ['/app/../admin', '/admin'],
  ['/app/%2E./admin', '/admin'],
  ['/./admin', '/admin'],
  ['/admin/.', '/admin/'],
  ['/admin/..', '/'],
  ['/../../admin', '/admin'],
  ['/x/..//admin', '//admin'],
  ['/app\\admin', '/app/admin'],
  ['/x\\..\\admin', '/admin'],
  ['/app//', '/app//'],
  ['/app%2fadmin', '/app%2fadmin'],
  ['/app%5Cadmin', '/app%5Cadmin'],
  ['/xyz%30..//abc', '/xyz0..//abc'],
  ['/%61dm%69n', '/admin'],
  ['/%2561dmin', '/%2561dmin'],
  ['/%25%36%31dmin', '/%2561dmin'],
  ['/%%361', '/%2561'],
  ['/%%36%31', '/%2561'],
  ['/a%%364min', '/a%2564min'],
  ['/%zz%', '/%zz%'],
  ['/{*}/"<>^`|', '/%7B*%7D/%22%3C%3E%5E%60%7C'],
  ['/x/;/../admin', '/x/admin'],
  ['/..;/admin', '/..;/admin'],
  ['/.../.admin/admin..', '/.../.admin/admin..'],
  ['/%c0%ae/%252e', '/%c0%ae/%252e'],
])('by default %s becomes %s', (path, normal) => {
  expect(normalizePath(path, 'DEFAULT')).toBe(normal);
  expect(normalizePath(path, 'BASE')).toBe(normal);
});

test.each(['/admin%00', '/%00', '/a%00b/../c'])('%s is refused', (path) => {
  expect(normalizePath(path, 'BASE')).toBeNull();
  expect(normalizePath(path, 'DECODE_AND_MERGE_SLASHES')).toBeNull();
});

test.each([
  ['//admin', '/admin'],
  ['/a///b//', '/a/b/'],
  ['///', '//'],
  ['/a//../b', '/a/b'],
  ['/a%2F%2fb', '/a%2F%2fb'],
  ['/a?b//c', '/a?b//c'],
])('MERGE_SLASHES makes %s %s', (path, normal) => {
  expect(normalizePath(path, 'MERGE_SLASHES')).toBe(normal);
});

test.each([
  ['/%2Fapp%5cadmin%5Cabc', '/app/admin/abc'],
  ['/x%2f..%2fadmin', '/admin'],
  ['/%c0%2fadmin', '/%c0/admin'],
  ['/a?b%2Fc', '/a?b%2Fc'],
  ['/%252f', '/%252f'],
])('DECODE_AND_MERGE_SLASHES makes %s %s', (path, normal) => {
  expect(normalizePath(path, 'DECODE_AND_MERGE_SLASHES')).toBe(normal);
});

test('NONE cuts the fragment and nothing else', () => {
  expect(normalizePath('/a/../b//%41%00?x#y', 'NONE')).toBe('/a/../b//%41%00?x');
});

const pieces = '/ // . .. %2e %2E %2F %5c \\ % %2 %41 %25 %3 36 a Z ~ ; { " ? # %00 %7f é ='.split(
  ' ',
);
const piece = fc.constantFrom(...pieces);
const anyPath = fc.array(piece, { maxLength: 14 }).map((pieces) => `/${pieces.join('')}`);

test('a normal path has no dot segments, and normalizing it again changes nothing', () => {
  fc.assert(
    fc.property(
      anyPath,
      fc.constantFrom('BASE' as const, 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
      (path, normalization) => {
        const normal = normalizePath(path, normalization);
        if (normal === null) return;
        const [bare = ''] = normal.split('?');
        expect(normal.startsWith('/')).toBe(true);
        expect(bare).not.toMatch(/\/(\.|%2e){1,2}(\/|$)/i);
        expect(bare).not.toMatch(/[\\"<>^`{|}#\u0080-\uFFFF]/);
        expect(normalizePath(normal, normalization)).toBe(normal);
      },
    ),
    { numRuns: 3000, seed: 1 },
  );
});
