// What a request is counted by, against plain readings of the same lines.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { LimitKey } from '#api/kinds/rate-limit.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';
import { compileKeyPart } from '#sidecar/limit/key.ts';

const connection: ConnectionFacts = {
  mtls: true,
  identities: ['spiffe://cluster.local/ns/shop/sa/web'],
  sourceIp: '::ffff:10.0.0.9',
  destinationIp: '10.0.0.1',
  destinationPort: 8080,
  sni: '',
};

function requestWith(
  lines: Readonly<Record<string, readonly string[]>>,
  more: Partial<RequestFacts> = {},
): RequestFacts {
  const head = { method: 'GET', path: '/', authority: 'Api:80', scheme: 'http', token: null };
  return { ...head, ...more, values: (name) => lines[name] ?? [] };
}

function keyOf(key: LimitKey, request: RequestFacts, consumer = ''): string {
  return compileKeyPart(key)(connection, request, consumer);
}

test('the client address is the one at its depth from the end, whatever lines it is spread over', () => {
  const address = fc.constantFrom('1.1.1.1', '2.2.2.2', 'fe80::1', '::ffff:3.3.3.3', 'x', '');
  const lists = fc.array(fc.array(address, { maxLength: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 6 }), (lines, depth) => {
      const text = lines.map((line) => line.join(', '));
      const all = text.join(',').split(',');
      const found = (all.at(-depth) ?? '').trim().replace(/^::ffff:(?=.*\.)/, '');
      const request = requestWith({ 'x-forwarded-for': text });
      const wanted = found === '' ? '10.0.0.9' : found;
      expect(keyOf({ from: 'remoteAddress', depth }, request)).toBe(wanted);
    }),
  );
  expect(keyOf({ from: 'remoteAddress' }, requestWith({}))).toBe('10.0.0.9');
});

test('who was made known by an API key counts in place of the key, which may be hidden', () => {
  const key = { from: 'apiKey' } as const;
  expect(keyOf(key, requestWith({ 'x-api-key': ['k'] }))).toBe('k');
  expect(keyOf(key, requestWith({ 'x-api-key': ['k'] }), 'alice')).toBe('alice');
  expect(keyOf(key, requestWith({}), 'alice')).toBe('alice');
});

test('a cookie is found among others, by its whole name', () => {
  const name = fc.constantFrom('a', 'aa', 'session', ' a');
  const pair = fc.tuple(name, fc.constantFrom('1', 'x=y', '', ' z ')).map((two) => two.join('='));
  fc.assert(
    fc.property(fc.array(fc.oneof(pair, fc.constant('junk'))), (pairs) => {
      const wanted = pairs
        .filter((one) => one.includes('=') && one.slice(0, one.indexOf('=')).trim() === 'a')
        .map((one) => one.slice(one.indexOf('=') + 1).trim())
        .join('');
      const request = requestWith({ cookie: [pairs.join(';')] });
      expect(keyOf({ from: 'cookie', name: 'a' }, request)).toBe(wanted);
    }),
  );
});

test('claims are read by name or by path, of any type, and are empty without a token', () => {
  const payload = { sub: 'ada', tier: 3, roles: ['a', 'b'], org: { id: 'x' }, 'a.b': 'dotted' };
  const token = { issuer: '', subject: 'ada', payload, spaceDelimitedClaims: [] };
  const claim = (name: string, facts: Partial<RequestFacts> = { token }): string =>
    keyOf({ from: 'claim', name }, requestWith({}, facts));
  expect(['sub', 'tier', 'roles', '[org][id]', 'a.b', 'none'].map((name) => claim(name))).toEqual([
    'ada',
    '3',
    '["a","b"]',
    'x',
    'dotted',
    '',
  ]);
  expect(claim('sub', { token: null })).toBe('');
});

test('the others are what they say', () => {
  const request = requestWith({ 'x-api-key': ['k1', 'k2'] }, { path: '/a/1?key=%6B&key=b' });
  const keys: LimitKey[] = [
    { from: 'identity' },
    { from: 'namespace' },
    { from: 'apiKey' },
    { from: 'apiKey', query: 'key' },
    { from: 'path' },
    { from: 'pathTemplate', templates: ['/b/{*}', '/a/{*}'] },
    { from: 'method' },
    { from: 'host' },
    { from: 'header', name: ':path' },
  ];
  expect(keys.map((key) => keyOf(key, request))).toEqual([
    'spiffe://cluster.local/ns/shop/sa/web',
    'shop',
    'k1,k2',
    'k,b',
    '/a/1',
    '/a/{*}',
    'GET',
    'api:80',
    '/a/1?key=%6B&key=b',
  ]);
});

test('no line that a caller sends makes a key throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (text, query) => {
      const names = ['x-forwarded-for', 'cookie', 'x-api-key', 'x'];
      const lines = Object.fromEntries(names.map((name) => [name, [text, query]]));
      const request = requestWith(lines, { path: `/${text}?${query}`, authority: text });
      const keys: LimitKey[] = [
        { from: 'remoteAddress', depth: 3 },
        { from: 'cookie', name: text },
        { from: 'apiKey' },
        { from: 'apiKey', query: text },
        { from: 'pathTemplate', templates: ['/{**}'] },
        { from: 'header', name: 'x' },
        { from: 'host' },
      ];
      expect(keys.every((key) => typeof keyOf(key, request) === 'string')).toBe(true);
    }),
  );
});
