import { expect, test } from 'vitest';

import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { compileRouteIndex } from '#sidecar/routing/route-index.ts';

import { makeGroup, makeRequest, makeRoute } from './models.ts';

const regexes = await prepareRegexes({});
const group = (key: string, hosts: string[], port = 0): ReturnType<typeof makeGroup> =>
  makeGroup([makeRoute()], { key, hosts, port });

test('a host has the routes of its port, else those of all ports, else those of a wildcard', () => {
  const index = compileRouteIndex(
    [
      group('all', ['a.example.com']),
      group('port', ['a.example.com'], 8080),
      group('late', ['a.example.com'], 8080),
      group('wide', ['*.example.com']),
      group('wider', ['*.com']),
      group('widest', ['*'], 443),
    ],
    regexes,
  );
  const found = (host: string, port: number): string | undefined =>
    index.find(host, port)?.group.key;
  expect(found('a.example.com', 8080)).toBe('port');
  expect(found('a.example.com', 80)).toBe('all');
  expect(found('b.example.com', 80)).toBe('wide');
  expect(found('c.b.example.com', 80)).toBe('wide');
  expect(found('example.com', 80)).toBe('wider');
  expect(found('example.org', 443)).toBe('widest');
  expect(found('example.org', 80)).toBeUndefined();
  expect(found('.example.com', 80)).toBe('wider');
  expect(index.empty).toBe(false);
});

test('a group without routes for HTTP says nothing of HTTP', () => {
  const index = compileRouteIndex([makeGroup([], { hosts: ['a'] })], regexes);
  expect(index.find('a', 80)).toBeNull();
  expect(index.empty).toBe(true);
});

test('a request that meets no route of its group gets none', () => {
  const route = makeRoute({ matches: [{ path: { kind: 'exact', value: '/a' } }] });
  const index = compileRouteIndex([makeGroup([route], { hosts: ['a'] })], regexes);
  expect(index.find('a', 80)?.route(makeRequest({ path: '/b' }))).toBeNull();
});

test('without the library a regular expression is a problem, not a crash', () => {
  const route = makeRoute({ matches: [{ path: { kind: 'regex', value: '/a' } }] });
  const index = compileRouteIndex([makeGroup([route], { hosts: ['a'] })], regexes);
  expect(index.problems).toHaveLength(1);
  expect(index.find('a', 80)?.route(makeRequest({ path: '/a' }))).toBeNull();
});
