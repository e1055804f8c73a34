import { assert, nat, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';

import { readOpening } from '#sidecar/inbound/first-bytes.ts';

function looksLike(text: string, detectHttp = true): string | null {
  const opening = readOpening(Buffer.from(text, 'latin1'), detectHttp);
  if (opening === null) return null;
  return opening.kind === 'plaintext' ? opening.looksLike : opening.kind;
}

test.each([
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['POST /a', 'http1'],
  ['GET ', 'http1'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ['GE', null],
  ['P', null],
  ['PR', null],
  ['UNSUBSCRIBE', null],
  ['get / HTTP/1.1', 'other'],
  ['FOO / HTTP/1.1', 'other'],
  ['SSH-2.0-OpenSSH', 'other'],
  [' GET /', 'other'],
  ['\0\0', 'other'],
  ['UNSUBSCRIBES', 'other'],
])('%j looks like %s', (text, expected) => {
  expect(looksLike(text)).toBe(expected);
});

test('on a port that declares its protocol the first byte that is no TLS is enough', () => {
  expect(looksLike('G', false)).toBe('other');
  expect(looksLike('\x16\x03', false)).toBe(null);
  expect(looksLike('', false)).toBe(null);
});

test('more bytes never change an answer that was given', () => {
  assert(
    property(uint8Array({ minLength: 1, maxLength: 60 }), nat(59), (bytes, cut) => {
      const whole = Buffer.from(bytes);
      const early = readOpening(whole.subarray(0, cut), true);
      expect(early === null ? readOpening(whole, true) : early).toEqual(readOpening(whole, true));
    }),
    { numRuns: 2000, seed: 4 },
  );
});
