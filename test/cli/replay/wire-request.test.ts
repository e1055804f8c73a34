// Calls as bytes, and answers read back.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { readResponse, requestBytes } from '#cli/replay/wire-request.ts';

const ends = {
  source: { identity: null, ip: '127.0.0.1' },
  destination: { ip: '10.0.0.1', port: 80 },
};

test('a call is written exactly as recorded, each character a byte', () => {
  const call = {
    ...ends,
    method: 'preT',
    path: '/é\u0001',
    host: ['a', 'b'],
    minor: 0,
    headers: [
      ['X-Foo', ''],
      ['x-foo', ' ü '],
    ] as const,
  };
  const text = 'preT /é\u0001 HTTP/1.0\r\nhost: a\r\nhost: b\r\nX-Foo: \r\nx-foo:  ü \r\n\r\n';
  expect(requestBytes(call)).toEqual(Buffer.from(text, 'latin1'));
});

test('what a call leaves out is a GET of / without a Host', () => {
  expect(requestBytes({ ...ends, host: null }).toString()).toBe('GET / HTTP/1.1\r\n\r\n');
});

test('an answer is whole when its length says so, after interim ones', () => {
  const text =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!';
  expect(readResponse(text, false)).toMatchObject({ status: 403, body: 'no!' });
  for (let cut = 0; cut < text.length; cut += 1) {
    expect(readResponse(text.slice(0, cut), false)).toBe(null);
  }
  expect(readResponse(text.slice(0, -3), true)).toMatchObject({ status: 403, body: '' });
});

test.each([
  'SSH-2.0\r\n\r\n',
  'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
])('%j is no answer that a recorded call gets', (text) => {
  expect(() => readResponse(text, false)).toThrow(Error);
});

test('any bytes are an answer, the begin of one, or an error', () => {
  const piece = fc.constantFrom(
    'HTTP/1.1 ',
    '200 ',
    '100 ',
    '\r\n',
    '\r\n\r\n',
    'content-length: 1',
  );
  const text = fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 });
  fc.assert(
    fc.property(text, fc.boolean(), (parts, isHead) => {
      const outcome = attempt(parts.join(''), isHead);
      expect(outcome === 'error' || outcome === null || outcome >= 200).toBe(true);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

function attempt(text: string, isHead: boolean): number | 'error' | null {
  try {
    return readResponse(text, isHead)?.status ?? null;
  } catch (error) {
    if (error instanceof Error) return 'error';
    throw error;
  }
}
