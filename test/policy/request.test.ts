// Which request heads are admitted, in the order of Envoy's checks, and what policies see of them.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  admitRequest,
  type AdmittedRequest,
  pathOfTarget,
  type RawRequest,
} from '#policy/request.ts';

const plain: RawRequest = {
  method: 'GET',
  rawTarget: '/a',
  hosts: ['cart.shop'],
  minor: 1,
  upgrade: '',
};

function admit(change: Partial<RawRequest>): string {
  const out: AdmittedRequest = { path: '', authority: '' };
  const refusal = admitRequest({ ...plain, ...change }, 'DEFAULT', out);
  return refusal === '' ? `${out.authority} ${out.path}` : refusal;
}

test('a plain request is admitted as it is', () => {
  expect(admit({ rawTarget: '/a?b=c' })).toBe('cart.shop /a?b=c');
});

test('the path is normalized, the port stays in the authority', () => {
  expect(admit({ rawTarget: '/x/../a#f', hosts: ['cart.shop:8080'] })).toBe('cart.shop:8080 /a');
});

test.each(['get', 'FOO', '', 'Get'])('method %j is malformed', (method) => {
  expect(admit({ method })).toBe('malformed');
});

test.each(['admin', '*', '', '/sp ace', '/é', '/tab\t', '/del\u007F', 'ftp://a/', 'http:///a'])(
  'target %j is malformed',
  (rawTarget) => {
    expect(admit({ rawTarget })).toBe('malformed');
  },
);

test('an absolute target names the authority itself, whatever Host says', () => {
  expect(admit({ rawTarget: 'http://other:1/x/../y?z' })).toBe('other:1 /y?z');
  expect(admit({ rawTarget: 'HTTPS://other', hosts: [] })).toBe('other /');
  expect(admit({ rawTarget: 'http://other?x' })).toBe('other /?x');
});

test.each([
  ['/a?b', '/a?b'],
  ['http://other:1/x/../y?z', '/x/../y?z'],
  ['HTTPS://other', '/'],
  ['http://other?x', '/?x'],
  ['http://x@other/', 'http://x@other/'],
  ['payments:443', 'payments:443'],
  ['', ''],
])('the path of the target %j is %j', (target, path) => {
  expect(pathOfTarget(target)).toBe(path);
});

test.each([
  'http://x@admin.shop/',
  'http://admin.shop:pass@other/',
  'http://admin.shop\\@other/',
  'http://a,b/',
  'http://a"b/',
  'http://a%2eb/',
  'http://a;b/',
  'http://[::1/',
  'http://a:/',
  'http://a:1:2/',
])('the authority of the target %j is none', (rawTarget) => {
  expect(admit({ rawTarget })).toBe('malformed');
});

test('an absolute target may name an address', () => {
  expect(admit({ rawTarget: 'http://[::1]:80/' })).toBe('[::1]:80 /');
  expect(admit({ rawTarget: 'http://10.0.0.1/' })).toBe('10.0.0.1 /');
});

test('HTTP/1.0 is refused before a missing host is', () => {
  expect(admit({ minor: 0, hosts: [] })).toBe('version-unsupported');
  expect(admit({ hosts: [] })).toBe('host-missing');
});

test('an empty host is a host, and two are one that matches neither', () => {
  expect(admit({ hosts: [''] })).toBe(' /a');
  expect(admit({ hosts: ['a', 'b'] })).toBe('a,b /a');
});

test('OPTIONS * has no path to judge', () => {
  expect(admit({ method: 'OPTIONS', rawTarget: '*' })).toBe('target-refused');
  expect(admit({ method: 'OPTIONS', rawTarget: '/a' })).toBe('cart.shop /a');
});

test('a path with %00 is refused', () => {
  expect(admit({ rawTarget: '/a%00' })).toBe('path-refused');
});

test('only websocket upgrades go on; h2c is as good as none', () => {
  expect(admit({ upgrade: 'websocket' })).toBe('cart.shop /a');
  expect(admit({ upgrade: 'h2c' })).toBe('cart.shop /a');
  expect(admit({ upgrade: 'foo' })).toBe('upgrade-refused');
});

test('CONNECT tunnels into no workload', () => {
  expect(admit({ method: 'CONNECT', rawTarget: 'db:5432', hosts: [] })).toBe('upgrade-refused');
  expect(admit({ method: 'CONNECT', rawTarget: '/a' })).toBe('malformed');
});

test('any bytes are admitted with a path, or refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (rawTarget) => {
      const out: AdmittedRequest = { path: '', authority: '' };
      const refusal = admitRequest({ ...plain, rawTarget }, 'DECODE_AND_MERGE_SLASHES', out);
      expect(refusal !== '' || out.path.startsWith('/')).toBe(true);
    }),
    { numRuns: 1000, seed: 2 },
  );
});
