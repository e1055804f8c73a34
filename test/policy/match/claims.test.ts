// Claims and request principals.
import { expect, test } from 'vitest';

import { claimTest, readClaimPath, readRequestPrincipal } from '#policy/match/claims.ts';

import { token } from '../making.ts';

const some = token(
  {
    iss: 'https://iss',
    sub: 'sub-1',
    groups: ['g1', 5, 'g2'],
    role: 'admin',
    num: 5,
    empty: '',
    scope: 'read  write',
    sp: 'x y',
    nested: { k: 'v', list: ['a'], deep: { x: 'y' } },
    objs: [{ a: 'b' }],
    'a.b': 'dot',
  },
  ['sp'],
);

test.each([
  ['[groups]', 'g2', true],
  ['[groups]', '5', false],
  ['[groups]', 'g*', true],
  ['[role]', '*', true],
  ['[ROLE]', 'admin', false],
  ['[num]', '*', false],
  ['[empty]', '*', false],
  ['[empty]', '', true],
  ['[scope]', 'read', true],
  ['[scope]', 'read  write', false],
  ['[sp]', 'y', true],
  ['[nested][k]', 'v', true],
  ['[nested][deep][x]', 'y', true],
  ['[nested][list]', 'a', true],
  ['[nested]', '*', false],
  ['[nested.k]', 'v', false],
  ['[a.b]', 'dot', true],
  ['[objs][a]', 'b', false],
  ['[missing]', '*', false],
  ['[constructor]', '*', false],
  ['[nested[k]]', 'v', false],
])('claim %s with %j is %j', (brackets, value, expected) => {
  expect(claimTest(readClaimPath(brackets) ?? [], [value])(some)).toBe(expected);
});

test('a key without brackets names no claim', () => {
  expect(readClaimPath('groups')).toBeNull();
  expect(readClaimPath('[groups')).toBeNull();
});

test.each([
  ['*', true],
  ['https://iss/sub-1', true],
  ['https://iss/*', true],
  ['*/sub-1', true],
  ['*sub-1', true],
  ['*ss/sub-1', true],
  ['https://iss/sub*', true],
  ['https://iss', false],
  ['https://iss*', false],
  ['sub-1', false],
  ['https://iss/a/sub-1', false],
])('request principal %s is %j', (value, expected) => {
  expect(readRequestPrincipal(value).test(some)).toBe(expected);
});

test('a token without a subject is no principal', () => {
  expect(readRequestPrincipal('*').test(token({ iss: 'i' }))).toBe(false);
  expect(readRequestPrincipal('i').test(token({ iss: 'i' }))).toBe(false);
  expect(readRequestPrincipal('i*').test(token({ iss: 'i' }))).toBe(false);
});
