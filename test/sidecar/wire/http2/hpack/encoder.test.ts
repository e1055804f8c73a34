import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';
import {
  decodeBlock,
  encodeBlock,
  someFields,
  type Field,
} from '#test/sidecar/wire/http2/fields.ts';

const x: Field = ['x-tenant', 'one'];

test('what comes a second time gets a place, the third time it is an index', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const blocks = [1, 2, 3].map(() => encodeBlock(encoder, [x]));
  expect(blocks.map((block) => block[0]! & 0xc0)).toEqual([0, 0x40, 0x80]);
  expect(blocks[2]).toEqual(Buffer.from([0x80 | 62]));
  for (const block of blocks) expect(decodeBlock(decoder, block)).toEqual([x]);
});

test.each(['authorization', 'cookie', 'set-cookie'])('%s never gets a place', (name) => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 3; i++) {
    expect(encodeBlock(encoder, [[name, 'secret']])[0]! & 0xf0).toBe(0x10);
  }
});

test('names are folded, and those of the static table are taken from it', () => {
  const out = Buffer.alloc(64);
  const text = Buffer.from('Content-Typetext/html');
  const encoder = new HpackEncoder();
  const end = encoder.field(out, 0, text, 0, 12, 12, text.length);
  expect(out.subarray(0, 2)).toEqual(Buffer.from([0x0f, 31 - 15]));
  expect(decodeBlock(new HpackDecoder(), out.subarray(0, end))).toEqual([
    ['content-type', 'text/html'],
  ]);
  const other = Buffer.from('X-Other1');
  const after = encoder.field(out, 0, other, 0, 7, 7, 8);
  expect(decodeBlock(new HpackDecoder(), out.subarray(0, after))).toEqual([['x-other', '1']]);
});

test('status, method and scheme decode to what they were', () => {
  const encoder = new HpackEncoder();
  const out = Buffer.alloc(64);
  for (let status = 100; status < 600; status++) {
    const end = encoder.status(out, 0, status);
    expect(decodeBlock(new HpackDecoder(), out.subarray(0, end))).toEqual([
      [':status', String(status)],
    ]);
  }
  for (const method of ['GET', 'POST', 'PUT', 'M-SEARCH']) {
    const end = encoder.method(out, 0, method);
    expect(decodeBlock(new HpackDecoder(), out.subarray(0, end))).toEqual([[':method', method]]);
  }
  for (const scheme of ['http', 'https']) {
    const end = encoder.scheme(out, 0, scheme);
    expect(decodeBlock(new HpackDecoder(), out.subarray(0, end))).toEqual([[':scheme', scheme]]);
  }
});

test('a peer that made its table smaller is told so, and of the smallest size in between', () => {
  const encoder = new HpackEncoder();
  encoder.setPeerTableBytesMax(100);
  expect(encodeBlock(encoder, [])).toEqual(Buffer.from([0x3f, 100 - 31]));
  expect(encodeBlock(encoder, [])).toEqual(Buffer.alloc(0));
  encoder.setPeerTableBytesMax(0);
  encoder.setPeerTableBytesMax(50);
  expect(encodeBlock(encoder, [])).toEqual(Buffer.from([0x20, 0x3f, 50 - 31]));
  encoder.setPeerTableBytesMax(1e9);
  expect(encodeBlock(encoder, [])).toEqual(Buffer.from([0x3f, 0xe1, 0x1f]));
});

test('a table over 4096 bytes is used only once the peer allows it', () => {
  const encoder = new HpackEncoder(8192);
  expect(encodeBlock(encoder, [])).toEqual(Buffer.alloc(0));
  encoder.setPeerTableBytesMax(65_536);
  expect(decodeBlock(new HpackDecoder(8192), encodeBlock(encoder, [x]))).toEqual([x]);
});

test('without a table nothing is ever added', () => {
  const encoder = new HpackEncoder(0);
  const decoder = new HpackDecoder(0);
  for (let i = 0; i < 4; i++) {
    const block = encodeBlock(encoder, [x, ['accept', '*/*']]);
    expect(decodeBlock(decoder, block)).toEqual([x, ['accept', '*/*']]);
  }
});

test('all that is encoded decodes to the same over long-lived pairs, whatever the sizes', () => {
  const step = fc.record({
    fields: someFields,
    sizes: fc.oneof(
      { weight: 4, arbitrary: fc.constant<number[]>([]) },
      { weight: 1, arbitrary: fc.array(fc.constantFrom(0, 40, 100, 500, 4096, 9000)) },
    ),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(0, 64, 700, 4096),
      fc.array(step, { maxLength: 40 }),
      (tableBytes, steps) => {
        const encoder = new HpackEncoder(tableBytes);
        const decoder = new HpackDecoder();
        for (const { fields, sizes } of steps) {
          for (const size of sizes) encoder.setPeerTableBytesMax(size);
          expect(decodeBlock(decoder, encodeBlock(encoder, fields))).toEqual(fields);
        }
      },
    ),
    { numRuns: 150 },
  );
});
