import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readPastedCall } from '#cli/dashboard/pasted-call.ts';
import { shellWords } from '#cli/dashboard/shell-words.ts';

const claims = { iss: 'https://shop.example', sub: 'ada' };
const token = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

test('a curl command, as browsers and people write it', () => {
  const line = String.raw`curl -i --path-as-is -X POST --proxy http://127.0.0.1:21011 \
    -H 'X-Tenant: acme' -H "cookie: a=b" -H 'authorization: Bearer TOKEN' --data-raw '{"a":"it''s"}' 'http://payments.payments:8080/api/v1/x/../charges?currency=eur'`.replace(
    'TOKEN',
    token,
  );
  expect(readPastedCall(line)).toEqual({
    from: '',
    to: '',
    port: '',
    method: 'POST',
    path: '/api/v1/x/../charges?currency=eur',
    host: 'payments.payments:8080',
    headers: [['x-tenant', 'acme']],
    token: JSON.stringify(claims),
  });
});

test.each([
  ['curl http://a.b/c', 'GET', '/c'],
  ['curl -d x http://a.b', 'POST', '/'],
  ['curl -sI http://a.b/c', 'HEAD', '/c'],
  ['curl -XPUT a.b/c', 'PUT', '/c'],
  ['curl --request=DELETE --url http://a.b/c', 'DELETE', '/c'],
  ['curl -u me:secret http://a.b/c', 'GET', '/c'],
])('%s', (line, method, path) => {
  expect(readPastedCall(line)).toMatchObject({ method, path, host: 'a.b', headers: [] });
});

test('the head of a request', () => {
  const head =
    'POST /api/v1/charges HTTP/1.1\r\nHost: payments\r\nX-Api-Key: k\r\nx-a: 1\r\n\r\n{"x: y": 1}';
  expect(readPastedCall(head)).toMatchObject({
    method: 'POST',
    path: '/api/v1/charges',
    host: 'payments',
    headers: [['x-a', '1']],
  });
});

test('a URL, a record of tap, a line of an access log', () => {
  expect(readPastedCall('http://me:secret@a.b:81/c?d#e')).toMatchObject({
    host: 'a.b:81',
    path: '/c?d',
  });
  const record = {
    method: 'GET',
    path: '/x',
    authority: 'a.b',
    port: 8080,
    source: { principal: 'spiffe://cluster.local/ns/web/sa/web-sa' },
    destination: { namespace: 'b', workload: 'a' },
  };
  expect(readPastedCall(JSON.stringify(record))).toMatchObject({
    from: 'spiffe://cluster.local/ns/web/sa/web-sa',
    to: 'b/a',
    port: '8080',
  });
  const line = { method: 'GET', path: '/x', authority: 'a.b', source_principal: 'spiffe://x' };
  expect(readPastedCall(JSON.stringify(line))).toMatchObject({ from: 'spiffe://x', host: 'a.b' });
});

test.each(['', 'hello', '{', '{}', 'curl', 'curl -H', 'get / HTTP/1.1'])(
  '%s is no call',
  (text) => {
    expect(readPastedCall(text)).toBeNull();
  },
);

test('whatever is pasted, no credential comes out, and nothing throws', () => {
  const pieces = fc.constantFrom(
    'curl ',
    '-H ',
    '-X',
    "'authorization: Basic c2VjcmV0'",
    '"x-api-key: c2VjcmV0"',
    '-b c2VjcmV0',
    ' ',
    '\\',
    '"',
    "'",
    'http://a/b',
    'GET / HTTP/1.1\n',
    'cookie: c2VjcmV0\n',
    '{"method":"GET"}',
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 6 }))),
      (parts) => {
        const call = readPastedCall(parts.join(''));
        for (const [name] of call?.headers ?? []) {
          expect(name).not.toMatch(/^(?:authorization|cookie|x-api-key)$/);
        }
      },
    ),
  );
});

test('words are those of a shell', () => {
  expect(
    shellWords(String.raw`a 'b "c' "d 'e \" \x" f\ g "" \
h`),
  ).toEqual(['a', 'b "c', String.raw`d 'e " \x`, 'f g', '', 'h']);
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (words) => {
      const line = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
      expect(shellWords(line)).toEqual(words);
    }),
  );
});
