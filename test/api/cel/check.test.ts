// What `check` says of CEL: mistakes by their character, and expressions that never come to anything.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { celFindingText, checkCel } from '#api/cel/check.ts';
import { parseCel } from '#api/cel/parse.ts';
import { isCelFault } from '#api/cel/syntax.ts';

import { celTexts } from './texts.ts';

function said(text: string): string[] {
  return checkCel(text, 'bool').map(
    (finding) =>
      `${finding.severity}: ${celFindingText(finding)}${finding.mend ? ` (${finding.mend})` : ''}`,
  );
}

test.each([
  'response.code >= 400',
  "request.headers['x-a'] == 'b' && !(request.path in ['/a', '/b'])",
  "has(request.headers.a) ? request.headers.a.startsWith('b') : false",
  "request.duration > duration('1s') || response.flags != 0",
  "request.time - timestamp('2026-01-01T00:00:00Z') > duration('1h')",
  "filter_state.downstream_peer.namespace == 'shop'",
  "['/a', '/b'].exists(p, request.path.startsWith(p))",
  "request.time.getHours('Europe/Berlin') >= 9",
  "string(response.code).startsWith('5')",
  'response.code >= 399.5',
  'type(response.code) == int',
  "request.path.matches('^/v[0-9]+/')",
])('nothing is said of %s', (text) => {
  expect(said(text)).toEqual([]);
});

test.each([
  ['response.code >=', 'error: character 17: expected a value, and found the end'],
  ["request.path == 'a", 'error: character 17: the text is not closed'],
  ['response.code = 500', 'error: character 15: "=" has no meaning here'],
  ["'\\q' == 'a'", 'error: character 2: the escape is unknown; \\\\ is a backslash'],
  ['1 == 1 )', 'error: character 8: expected an operator, and found ")"'],
  ['has(1)', 'error: character 1: has() takes one member, as has(request.referer)'],
  [
    '[1].all(1, true)',
    'error: character 5: all() takes a name and an expression, as all(x, x > 1)',
  ],
  ['for == 1', 'error: character 1: "for" is a reserved word'],
  ['9007199254740993 > 1', 'error: character 1: whole numbers go to 9007199254740991 here'],
  [
    "request.path.startWith('a')",
    'error: character 14: there is no function startWith() (did you mean startsWith()?)',
  ],
  ['size(1, 2) == 3', 'error: character 1: size() is called as size(…)'],
  [
    'request.path.matches(request.host)',
    'error: character 14: the regular expression of matches() must be written out',
  ],
  [
    'response.cod == 200',
    'warning: character 10: a sidecar has no attribute response.cod: it is never there (did you mean response.code?)',
  ],
  [
    'respons.code == 200',
    'warning: character 1: a sidecar has no attribute respons: it is never there (did you mean response?)',
  ],
  [
    "response.code == '200'",
    'warning: character 15: a whole number (int) and a text do not meet in ==: string() makes a text of it',
  ],
  [
    'response.code',
    'warning: character 1: it comes to a whole number (int), and never to true or false',
  ],
  [
    'response.code && true',
    'warning: character 10: a whole number (int) is neither true nor false',
  ],
  [
    "response.code.startsWith('5')",
    'warning: character 15: startsWith() is not for a whole number (int)',
  ],
])('%s: %s', (text, finding) => {
  expect(said(text)).toEqual([finding]);
});

test('what is too long, too deep or too much is refused', () => {
  expect(said('a'.repeat(5000))[0]).toContain('at most 4096 characters');
  expect(said(`${'('.repeat(60)}true${')'.repeat(60)}`)[0]).toContain('more than 50 expressions');
  expect(said(`${'!'.repeat(60)}true`)[0]).toContain('more than 50 expressions');
  expect(said(Array(600).fill('1').join('+'))[0]).toContain('at most 500 parts');
});

test('whatever is written is a tree or a fault within the text, and is checked without an error of ours', () => {
  fc.assert(
    fc.property(celTexts, (text) => {
      const parsed = parseCel(text);
      const { at } = isCelFault(parsed) ? parsed : { at: 0 };
      expect(at >= 0 && at <= text.length).toBe(true);
      for (const { at } of checkCel(text)) expect(at).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 3000 },
  );
});
