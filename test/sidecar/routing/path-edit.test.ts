import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { PathRewrite, RouteMatch } from '#api/traffic/route.ts';
import { compilePathEdit } from '#sidecar/routing/path-edit.ts';

import { regexFactory } from './models.ts';

const regexes = await regexFactory();
const met: Record<string, RouteMatch | null> = {
  nothing: null,
  '^/foo': { path: { kind: 'prefix', value: '/foo' } },
  '^/foo/': { path: { kind: 'prefix', value: '/foo/' } },
  '=/foo/bar': { path: { kind: 'exact', value: '/foo/bar' } },
  '/foo/…': { path: { kind: 'segments', value: '/foo' } },
  '/foo//…': { path: { kind: 'segments', value: '/foo/' } },
  '/…': { path: { kind: 'segments', value: '/' } },
  '~/foo.*': { path: { kind: 'regex', value: '/foo.*' } },
};

const table: [
  kind: PathRewrite['kind'],
  value: string,
  match: string,
  path: string,
  made: string,
][] = [
  ['full', '/new', '^/foo', '/foo/bar?q=1', '/new?q=1'],
  ['full', '/new?own', '^/foo', '/foo/bar?q=1', '/new?own'],
  ['prefix', '/v2', '^/foo', '/foo/bar?q=1', '/v2/bar?q=1'],
  ['prefix', '/v2', '^/foo', '/foobar', '/v2bar'],
  ['prefix', '/', '^/foo/', '/foo/bar', '/bar'],
  // Istio's trap: the prefix has no final slash, the value has.
  ['prefix', '/', '^/foo', '/foo/bar', '//bar'],
  ['prefix', '/v2', '=/foo/bar', '/foo/bar?q', '/v2?q'],
  ['prefix', '/v2', '~/foo.*', '/foo/bar?q', '/v2?q'],
  // Istio writes a match without a path as the prefix `/`.
  ['prefix', '/v2/', 'nothing', '/foo?q', '/v2/foo?q'],
  ['prefix', 'v2', '^/foo', '/foo/x', '/v2/x'],
  ['segments', '/xyz', '/foo/…', '/foo/bar', '/xyz/bar'],
  ['segments', '/xyz/', '/foo/…', '/foo/bar', '/xyz/bar'],
  ['segments', '/xyz', '/foo//…', '/foo/bar', '/xyz/bar'],
  ['segments', '/xyz/', '/foo//…', '/foo/bar', '/xyz/bar'],
  ['segments', '/xyz', '/foo/…', '/foo', '/xyz'],
  ['segments', '/xyz', '/foo/…', '/foo/', '/xyz/'],
  ['segments', '', '/foo/…', '/foo/bar', '/bar'],
  ['segments', '', '/foo/…', '/foo/', '/'],
  ['segments', '', '/foo/…', '/foo', '/'],
  ['segments', '/', '/foo/…', '/foo/?q', '/?q'],
  ['segments', '/', '/foo/…', '/foo', '/'],
  ['segments', '/xyz', '/…', '/foo?q', '/xyz/foo?q'],
  ['segments', '/xyz', 'nothing', '/foo', '/xyz/foo'],
];

test.each(table)('%s %s where %s met %s makes %s', (kind, value, match, path, made) => {
  const edit = compilePathEdit({ kind, value } as PathRewrite, met[match] ?? null, regexes);
  expect(edit(path)).toBe(made);
});

const rewrite = (match: string, value: string, path: string): string =>
  compilePathEdit({ kind: 'regex', match, value }, null, regexes)(path);

test('a regular expression rewrites each place it meets, and never the query', () => {
  expect(
    rewrite('^/service/([^/]+)(/.*)$', String.raw`\2/instance/\1`, '/service/foo/v1/api?service'),
  ).toBe('/v1/api/instance/foo?service');
  expect(rewrite('one', 'two', '/xxx/one/yyy/one/zzz?one')).toBe('/xxx/two/yyy/two/zzz?one');
  expect(rewrite('(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb')).toBe('/aaa/yyy/bbb');
  expect(rewrite('^/.*$', 'http://evil', '/a')).toBe('/http://evil');
});

test('whatever a path is rewritten to begins with a slash and keeps its query', () => {
  const text = fc.string({ unit: fc.constantFrom('/', 'f', 'o', '.', '%'), maxLength: 8 });
  const rewrites = fc.oneof(
    fc.record({ kind: fc.constantFrom('full', 'prefix', 'segments'), value: text }),
    fc.record({
      kind: fc.constant('regex'),
      match: fc.constantFrom('o', '^/.*$', 'f*'),
      value: text,
    }),
  );
  fc.assert(
    fc.property(
      rewrites,
      fc.constantFrom(...Object.values(met)),
      text,
      fc.constantFrom('', '?', '?a=/foo&b'),
      (rewrite, match, path, query) => {
        const edit = compilePathEdit(rewrite, match, regexes);
        const made = edit(`/${path}${query}`);
        expect(made[0]).toBe('/');
        expect(made.slice(made.length - query.length)).toBe(query);
        expect(made.slice(0, made.length - query.length)).not.toContain('?');
      },
    ),
  );
});
