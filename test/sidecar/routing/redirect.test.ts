import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { RedirectAction } from '#api/traffic/route.ts';
import type { CompiledRedirect } from '#sidecar/routing/compiled-route.ts';
import { compileRoute } from '#sidecar/routing/compile-route.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { redirectOf } from '#sidecar/routing/redirect.ts';

import { makeRequest, makeRoute, type Asked } from './models.ts';

const regexes = await prepareRegexes({});

function compile(redirect: Partial<RedirectAction>): CompiledRedirect {
  const action: RedirectAction = { kind: 'redirect', status: 301, ...redirect };
  const match = { path: { kind: 'segments', value: '/old' } } as const;
  const { action: compiled } = compileRoute(makeRoute({ action }), match, regexes);
  if (compiled.kind !== 'redirect') throw new Error('not a redirect');
  return compiled;
}

const table: [redirect: Partial<RedirectAction>, asked: Asked, location: string][] = [
  [{ authority: 'b.example' }, { path: '/old?q' }, 'http://b.example/old?q'],
  [{ authority: 'b.example', port: 8443, scheme: 'https' }, {}, 'https://b.example:8443/'],
  [{ path: { kind: 'full', value: '/new' } }, { path: '/old/x?q' }, 'http://a:81/new?q'],
  [{ path: { kind: 'full', value: '/new?own' } }, { path: '/old/x?q' }, 'http://a:81/new?own'],
  [{ path: { kind: 'segments', value: '/new' } }, { path: '/old/x?q' }, 'http://a:81/new/x?q'],
  [{ port: 0 }, {}, 'http://a/'],
  [{ port: 8080 }, {}, 'http://a:8080/'],
  [{ scheme: 'https' }, { authority: 'a:80' }, 'https://a/'],
  [{ scheme: 'http' }, { authority: 'a:443', scheme: 'https' }, 'http://a/'],
  [{ scheme: 'https' }, { authority: 'a:8080' }, 'https://a:8080/'],
  [{ scheme: 'http' }, { authority: 'a:80' }, 'http://a:80/'],
  [{ port: 1 }, { authority: '[::1]:80' }, 'http://[::1]:1/'],
  [{ port: 1 }, { authority: '[::1]' }, 'http://[::1]:1/'],
  [{}, { path: '/ü\r\nx: y' }, 'http://a:81/%C3%BC%0D%0Ax:%20y'],
];

test.each(table)('%j of %j is %s', (redirect, asked, location) => {
  const request = makeRequest({ authority: 'a:81', ...asked });
  expect(redirectOf(compile(redirect), request)).toEqual({ status: 301, location });
});

test('no path makes a location that a header line cannot have', () => {
  const compiled = compile({ status: 308, path: { kind: 'segments', value: '/new' } });
  const anyPath = fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    .map((units) => `/old${String.fromCharCode(...units)}`);
  fc.assert(
    fc.property(anyPath, (path) => {
      expect(redirectOf(compiled, makeRequest({ path })).location).toMatch(/^[\x21-\x7e]+$/);
    }),
  );
});
