import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ChunkedBody } from '#sidecar/wire/http1/chunked.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';

import { naiveChunks } from './naive.ts';

interface Scan {
  end: number;
  done: boolean;
  content: string;
  dataBytes: number;
}

function scan(text: string, cuts: readonly number[] = [], limits = http1Limits): Scan {
  const body = new ChunkedBody(limits);
  const bytes = Buffer.from(text, 'latin1');
  let content = '';
  let from = 0;
  let end = 0;
  for (const to of [...cuts, bytes.length]) {
    end = body.scan(bytes, from, to, (buffer, from, to) => {
      content += buffer.toString('latin1', from, to);
    });
    if (end < 0 || body.done) break;
    from = to;
  }
  return { end, done: body.done, content, dataBytes: body.dataBytes };
}

const whole =
  '3;a=b;c="d;\\"\\\\ ";e\r\nabc\r\nA\r\n0123456789\r\n0;x\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\nGET ';

test('a chunked body is followed to its end, split at any two bytes', () => {
  for (let first = 0; first <= whole.length; first++) {
    for (let second = first; second <= whole.length; second++) {
      expect(scan(whole, [first, second])).toEqual({
        end: whole.length - 4,
        done: true,
        content: 'abc0123456789',
        dataBytes: 13,
      });
    }
  }
});

test.each([
  ['bare LF after a size', '3\nabc\r\n0\r\n\r\n'],
  ['bare LF after data', '3\r\nabc\n0\r\n\r\n'],
  ['bare LF at the end', '0\r\n\n'],
  ['bare CR in an extension', '3;a\rb\r\nabc\r\n0\r\n\r\n'],
  ['LF in an extension', '3;a\nb\r\nabc\r\n0\r\n\r\n'],
  ['NUL in an extension', '3;\0\r\nabc\r\n0\r\n\r\n'],
  ['an extension of no name', '3;\r\nabc\r\n0\r\n\r\n'],
  ['an extension of no value', '3;a=\r\nabc\r\n0\r\n\r\n'],
  ['an extension of two values', '3;a=b=c\r\nabc\r\n0\r\n\r\n'],
  ['a blank in an extension', '3; a=b\r\nabc\r\n0\r\n\r\n'],
  ['an extension whose quotes are open', '3;a="\r\nabc\r\n0\r\n\r\n'],
  ['an extension with bytes after its quotes', '3;a="b"c\r\nabc\r\n0\r\n\r\n'],
  ['more data than the size', '3\r\nabcd\r\n0\r\n\r\n'],
  ['a prefix 0x', '0x3\r\nabc\r\n0\r\n\r\n'],
  ['a sign', '+3\r\nabc\r\n0\r\n\r\n'],
  ['a blank before the size', ' 3\r\nabc\r\n0\r\n\r\n'],
  ['a blank after the size', '3 \r\nabc\r\n0\r\n\r\n'],
  ['a blank before an extension', '3 ;a\r\nabc\r\n0\r\n\r\n'],
  ['a size of no digits', '\r\nabc\r\n0\r\n\r\n'],
  ['a size of extension only', ';a\r\n\r\n'],
  ['a huge size', 'fffffffffff\r\n'],
  ['zeros without end', `${'0'.repeat(11)}\r\n\r\n`],
  ['a folded trailer', '0\r\na: b\r\n c\r\n\r\n'],
  ['a trailer with a blank before the colon', '0\r\na : b\r\n\r\n'],
  ['a trailer without a colon', '0\r\na\r\n\r\n'],
  ['an empty trailer name', '0\r\n: a\r\n\r\n'],
  ['a bare CR in a trailer', '0\r\na: b\rc\r\n\r\n'],
  ['a bare LF in a trailer', '0\r\na: b\nc: d\r\n\r\n'],
  ['the trailer content-length', '0\r\nContent-Length: 3\r\n\r\n'],
  ['the trailer transfer-encoding', '0\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['the trailer host', '0\r\nHost: a\r\n\r\n'],
  ['the trailer authorization', '0\r\nx: y\r\nAuthorization: Bearer a\r\n\r\n'],
  ['the trailer x-forwarded-client-cert', '0\r\nX-Forwarded-Client-Cert: By=a\r\n\r\n'],
])('%s is malformed', (_, text) => {
  expect(scan(text).end).toBe(-1);
  expect(
    scan(
      text,
      Array.from({ length: text.length }, (_, i) => i),
    ).end,
  ).toBe(-1);
});

test('extensions and trailers over their limits are refused, at them they pass', () => {
  const limits = { ...http1Limits, chunkExtensionBytesMax: 10, trailerBytesMax: 20 };
  expect(scan(`1;${'a'.repeat(9)}\r\nx\r\n`, [], limits).end).toBeGreaterThan(0);
  expect(scan(`1;${'a'.repeat(10)}\r\nx\r\n`, [], limits).end).toBe(-1);
  expect(scan(`0\r\na: ${'b'.repeat(13)}\r\n\r\n`, [], limits).done).toBe(true);
  expect(scan(`0\r\na: ${'b'.repeat(20)}\r\n\r\n`, [], limits).end).toBe(-1);
  expect(scan('1\r\nx\r\n'.repeat(10_000), [], limits).dataBytes).toBe(10_000);
});

test('the scanner agrees with a naive one on odd bodies, in any pieces', () => {
  const part = fc.constantFrom(
    '3\r\nabc\r\n',
    '1;x=y\r\nz\r\n',
    '1;x="',
    '"\r\nz\r\n',
    '=',
    '2\r\n\r\n\r\n',
    '00001\r\nq\r\n',
    '0\r\n',
    '\r\n',
    'a: b\r\n',
    ...'a 0 F ; : \r \n \0 \x80'.split(' '),
    ' ',
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }),
      fc.array(fc.nat(60), { maxLength: 4 }),
      (parts, cuts) => {
        const text = parts.join('');
        const expected = naiveChunks(text);
        const sorted = cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b);
        const { end, done, content } = scan(text, sorted);
        const got = end < 0 ? null : done ? { content, end } : 'more';
        expect(got).toEqual(expected);
        expect(got === 'more' ? end : text.length).toBe(text.length);
      },
    ),
    { seed: 3, numRuns: 5_000 },
  );
});
