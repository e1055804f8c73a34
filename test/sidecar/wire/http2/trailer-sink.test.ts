import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { TrailerSink } from '#sidecar/wire/http2/trailer-sink.ts';

import type { Field } from './fields.ts';
import { literal } from './rig.ts';

function sink(fields: readonly Field[], bytesMax = 1000): TrailerSink {
  const into = new TrailerSink(bytesMax);
  const block = literal(fields);
  expect(new HpackDecoder().decode(block, 0, block.length, into)).toBe(true);
  return into;
}

test('trailers are kept in order, without those that belong in a head', () => {
  const one = sink([
    ['grpc-status', '0'],
    ['content-length', '5'],
    ['x', ''],
    ['authorization', 'a'],
    ['grpc-message', 'ok'],
  ]);
  expect(one.malformed).toBe(false);
  expect(one.trailers.lines()).toEqual([
    ['grpc-status', '0'],
    ['x', ''],
    ['grpc-message', 'ok'],
  ]);
  expect(one.trailers.grpcStatus()).toBe('0');
});

test.each<Field>([
  [':status', '200'],
  [':path', '/'],
  ['', 'x'],
  ['', 'x'.repeat(58)],
  ['X', '1'],
  ['a b', '1'],
  ['x', 'a\nb'],
  ['x', ' a'],
])('%j: %j makes them malformed', (name, value) => {
  expect(
    sink([
      ['a', '1'],
      [name, value],
      ['b', '2'],
    ]).malformed,
  ).toBe(true);
});

test('decoded bytes are limited, with 32 for each field', () => {
  expect(sink([['x', 'a'.repeat(67)]], 100).malformed).toBe(false);
  expect(sink([['x', 'a'.repeat(68)]], 100).malformed).toBe(true);
  const many: Field[] = Array.from({ length: 4 }, () => ['x', '']);
  expect(sink(many, 132).malformed).toBe(false);
  expect(sink(many, 131).malformed).toBe(true);
  expect(sink([['content-length', '5']], 40).malformed).toBe(true);
});
