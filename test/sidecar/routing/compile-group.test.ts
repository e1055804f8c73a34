import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { RouteMatch, TextMatch } from '#api/traffic/route.ts';
import { compileGroup } from '#sidecar/routing/compile-group.ts';

import {
  makeGroup,
  makeRequest,
  makeRoute,
  naiveRoute,
  regexFactory,
  type Asked,
} from './models.ts';

const regexes = await regexFactory();
const ignore = (): void => undefined;

function matches(match: RouteMatch, asked: Asked): boolean {
  const group = makeGroup([makeRoute({ matches: [match] })]);
  return compileGroup(group, regexes, ignore).route(makeRequest(asked)) !== null;
}

const exact = (value: string): TextMatch => ({ kind: 'exact', value });
const prefix = (value: string): TextMatch => ({ kind: 'prefix', value });
const regex = (value: string): TextMatch => ({ kind: 'regex', value });

const table: [what: string, match: RouteMatch, asked: Asked, met: boolean][] = [
  ['an exact path', { path: exact('/a') }, { path: '/a' }, true],
  ['an exact path, the query aside', { path: exact('/a') }, { path: '/a?b=c' }, true],
  ['a longer path than the exact one', { path: exact('/a') }, { path: '/a/' }, false],
  ['another case', { path: exact('/A') }, { path: '/a' }, false],
  [
    'another case, ignored',
    { path: { ...exact('/Ab'), ignoreCase: true } as TextMatch },
    { path: '/aB' },
    true,
  ],
  [
    'a prefix in another case, ignored',
    { path: { ...prefix('/Ab'), ignoreCase: true } as TextMatch },
    { path: '/aBc' },
    true,
  ],
  ['a prefix inside a segment', { path: prefix('/a') }, { path: '/ab' }, true],
  ['a prefix that only the query completes', { path: prefix('/a?b') }, { path: '/a?b' }, false],
  ['whole segments', { path: { kind: 'segments', value: '/a' } }, { path: '/a/b' }, true],
  ['the segment itself', { path: { kind: 'segments', value: '/a/' } }, { path: '/a?x' }, true],
  ['half a segment', { path: { kind: 'segments', value: '/a' } }, { path: '/ab' }, false],
  ['the root by segments', { path: { kind: 'segments', value: '/' } }, { path: '/x' }, true],
  ['a regex of the whole path', { path: regex('/v[0-9]+') }, { path: '/v12?x' }, true],
  ['a regex of a part of the path', { path: regex('/v[0-9]') }, { path: '/v12' }, false],
  ['alternatives, each anchored', { path: regex('/a|/b') }, { path: '/bc' }, false],
  ['a method', { method: exact('GET') }, { method: 'GET' }, true],
  ['a method by regex', { method: regex('GET|POST') }, { method: 'POST' }, true],
  ['a method in another case', { method: exact('get') }, { method: 'GET' }, false],
  ['a scheme', { scheme: exact('https') }, {}, false],
  ['an authority with its port', { authority: exact('reviews.shop') }, {}, false],
  ['an authority by prefix', { authority: prefix('reviews.') }, {}, true],
  ['a header', { headers: [{ name: 'x', match: exact('1') }] }, { headers: [['x', '1']] }, true],
  [
    'lines of a header, joined',
    { headers: [{ name: 'x', match: exact('1,2') }] },
    {
      headers: [
        ['x', '1'],
        ['x', '2'],
      ],
    },
    true,
  ],
  [
    'one line of several',
    { headers: [{ name: 'x', match: exact('1') }] },
    {
      headers: [
        ['x', '1'],
        ['x', '2'],
      ],
    },
    false,
  ],
  [
    'a header that is there',
    { headers: [{ name: 'x', match: null }] },
    { headers: [['x', '']] },
    true,
  ],
  ['a header that is not there', { headers: [{ name: 'x', match: null }] }, {}, false],
  ['an absent header as an empty one', { headers: [{ name: 'x', match: exact('') }] }, {}, false],
  ['without a header, absent', { headers: [{ name: 'x', match: null, not: true }] }, {}, true],
  [
    'without a header, there',
    { headers: [{ name: 'x', match: null, not: true }] },
    { headers: [['x', '1']] },
    false,
  ],
  ['without a value, absent', { headers: [{ name: 'x', match: exact('1'), not: true }] }, {}, true],
  [
    'without a value, another',
    { headers: [{ name: 'x', match: exact('1'), not: true }] },
    { headers: [['x', '2']] },
    true,
  ],
  [
    'without a value, there',
    { headers: [{ name: 'x', match: exact('1'), not: true }] },
    { headers: [['x', '1']] },
    false,
  ],
  [
    'without any value, absent: Envoy reads it as empty',
    { headers: [{ name: 'x', match: regex('.*'), not: true }] },
    {},
    false,
  ],
  ['a pseudo-header', { headers: [{ name: ':method', match: exact('GET') }] }, {}, true],
  ['a parameter', { query: [{ name: 'q', match: exact('1') }] }, { path: '/?p=2&q=1' }, true],
  [
    'the second of two parameters',
    { query: [{ name: 'q', match: exact('2') }] },
    { path: '/?q=1&q=2' },
    false,
  ],
  [
    'a parameter that is encoded',
    { query: [{ name: 'q', match: exact('a b') }] },
    { path: '/?q=a%20b' },
    false,
  ],
  [
    'an encoded parameter as it is written',
    { query: [{ name: 'q', match: exact('a%20b') }] },
    { path: '/?q=a%20b' },
    true,
  ],
  ['a parameter without a value', { query: [{ name: 'q', match: null }] }, { path: '/?q' }, true],
  [
    'a parameter whose name goes on',
    { query: [{ name: 'q', match: null }] },
    { path: '/?qq=1' },
    false,
  ],
  ['a parameter in the path', { query: [{ name: 'q', match: null }] }, { path: '/q=1' }, false],
  ['all but one', { path: exact('/a'), method: exact('PUT') }, { path: '/a' }, false],
  ['nothing asked for', {}, { path: '/whatever' }, true],
];

test.each(table)('%s', (_what, match, asked, met) => {
  expect(matches(match, asked)).toBe(met);
  // The same among so many others that they are indexed.
  const others = Array.from({ length: 20 }, (_, i) => ({ path: exact(`/other/${i}`) }));
  const group = makeGroup([makeRoute({ matches: [...others, match] })]);
  const found = compileGroup(group, regexes, ignore).route(makeRequest(asked));
  expect(found?.match ?? null).toBe(met ? match : null);
});

test('a regular expression that is none leaves out its route and says where it is', () => {
  const problems: string[] = [];
  const bad = makeRoute({ matches: [{ path: regex('/(') }], path: 'spec.http[3]' });
  const next = makeRoute({ matches: [{ path: prefix('/') }] });
  const compiled = compileGroup(makeGroup([bad, next]), regexes, (text) => problems.push(text));
  expect(compiled.route(makeRequest({ path: '/(' }))?.route).toBe(next);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(
    'VirtualService shop/reviews spec.http[3]: regular expression "/("',
  );
});

const segment = fc.constantFrom('a', 'A', 'b', 'ab', '');
const anyPath = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const anyTarget = fc
  .tuple(anyPath, fc.constantFrom('', '?', '?q=1', '?q=2&p=1', '?p', '?p=1&q=1&q=2'))
  .map(([path, query]) => path + query);
const pattern = fc.constantFrom(
  '/a.*',
  '/[ab]+',
  '/a/?',
  '/a*/b',
  '/(a|b)/.*',
  '.*b',
  '/ab{1,2}',
  '^/a+b',
  '/a|/b',
);
const anyText = (values: fc.Arbitrary<string>): fc.Arbitrary<TextMatch> =>
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('exact' as const, 'prefix' as const),
      value: values,
      ignoreCase: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('regex' as const),
      value: fc.oneof(pattern, fc.constant('.*'), fc.constant('[12]')),
    }),
  );
const anyNamed = (names: string[]): fc.Arbitrary<RouteMatch['headers']> =>
  fc.array(
    fc.record({
      name: fc.constantFrom(...names),
      match: fc.option(anyText(fc.constantFrom('', '1', '2', '1,2'))),
      not: fc.boolean(),
    }),
    { maxLength: 2 },
  );
const anyMatch: fc.Arbitrary<RouteMatch> = fc
  .record(
    {
      path: fc.oneof(
        anyText(anyPath),
        fc.record({ kind: fc.constant('segments' as const), value: anyPath }),
      ),
      method: fc.constantFrom(exact('GET'), exact('PUT'), regex('GET|PUT')),
      headers: anyNamed(['x', 'y']),
      query: anyNamed(['q', 'p']),
    },
    { requiredKeys: [] },
  )
  .map((match) => match as RouteMatch);
const anyAsked = fc.record({
  path: anyTarget,
  method: fc.constantFrom('GET', 'PUT', 'POST'),
  headers: fc.array(fc.tuple(fc.constantFrom('x', 'y'), fc.constantFrom('', '1', '2')), {
    maxLength: 3,
  }),
});

test('any group routes any request as asking each of its matches does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(anyMatch, { maxLength: 4 }), { maxLength: 8 }),
      fc.array(anyAsked, { minLength: 1, maxLength: 8 }),
      (lists, requests) => {
        const group = makeGroup(lists.map((list) => makeRoute({ matches: list })));
        const compiled = compileGroup(group, regexes, (problem) => expect(problem).toBe(''));
        for (const asked of requests) {
          const request = makeRequest(asked);
          const found = compiled.route(request);
          const wanted = naiveRoute(group, request);
          expect(found?.route ?? null).toBe(wanted?.route ?? null);
          expect(found?.match ?? null).toBe(wanted?.match ?? null);
        }
      },
    ),
    { numRuns: 1500 },
  );
});

const anyUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
  .map((units) => String.fromCharCode(...units));

test('no path and no header of whatever bytes makes a group throw', () => {
  const every = makeGroup(table.map(([, match]) => makeRoute({ matches: [match] })));
  const compiled = compileGroup(every, regexes, ignore);
  fc.assert(
    fc.property(anyUnits, anyUnits, (path, value) => {
      const asked = { path, headers: [['x', value] as [string, string]] };
      const wanted = naiveRoute(every, makeRequest(asked));
      expect(compiled.route(makeRequest(asked))?.route).toBe(wanted?.route);
    }),
  );
});

test('a thousand routes of one host are not asked one by one', () => {
  let looks = 0;
  const routes = Array.from({ length: 1000 }, (_, i) =>
    makeRoute({ matches: [{ path: exact(`/service/${i}`), method: exact('GET') }] }),
  );
  const compiled = compileGroup(makeGroup(routes), regexes, ignore);
  const request = makeRequest({ path: '/service/999' });
  Object.defineProperty(request, 'method', { get: () => (looks++, 'GET') });
  expect(compiled.route(request)?.route).toBe(routes[999]);
  expect(looks).toBe(1);
});
