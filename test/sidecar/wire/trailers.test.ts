import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import { isForbiddenTrailer, Trailers } from '#sidecar/wire/trailers.ts';
import { decodeBlock } from '#test/sidecar/wire/http2/fields.ts';

test('they are written as either version wants them', () => {
  const trailers = new Trailers();
  trailers.add('grpc-status', '0');
  trailers.add('x-sum', '\xe9');
  trailers.add('empty', '');
  const out = Buffer.alloc(trailers.linesBytes);
  expect(trailers.writeLines(out, 0)).toBe(out.length);
  expect(out.toString('latin1')).toBe('grpc-status: 0\r\nx-sum: \xe9\r\nempty: \r\n');
  const block = Buffer.alloc(trailers.http2BytesMax());
  const end = trailers.writeHttp2(new HpackEncoder(), block, 0);
  expect(decodeBlock(new HpackDecoder(), block.subarray(0, end))).toEqual([
    ['grpc-status', '0'],
    ['x-sum', '\xe9'],
    ['empty', ''],
  ]);
  expect(trailers.grpcStatus()).toBe('0');
});

test('without any there is nothing to write', () => {
  const trailers = new Trailers();
  expect([trailers.linesBytes, trailers.http2BytesMax(), trailers.grpcStatus()]).toEqual([
    0,
    0,
    '',
  ]);
});

test('many and long ones fit into the room that is asked for', () => {
  const trailers = new Trailers();
  for (let i = 0; i < 300; i++) trailers.add(`x-${i}`, 'v'.repeat(i * 3));
  const block = Buffer.alloc(trailers.http2BytesMax());
  const end = trailers.writeHttp2(new HpackEncoder(0), block, 0);
  expect(end).toBeLessThanOrEqual(block.length);
  expect(decodeBlock(new HpackDecoder(), block.subarray(0, end))).toEqual(trailers.lines());
});

test.each([
  'content-length',
  'host',
  'authorization',
  'x-forwarded-client-cert',
  'transfer-encoding',
])('%s belongs in a head', (name) => {
  expect(isForbiddenTrailer(name)).toBe(true);
});

test.each(['grpc-status', 'grpc-message', 'etag', 'x-checksum'])('%s may be a trailer', (name) => {
  expect(isForbiddenTrailer(name)).toBe(false);
});
