import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { decodedBytesMax, decodeHuffman } from '#sidecar/wire/http2/hpack/huffman.ts';
import { hex } from '#test/sidecar/wire/http2/fields.ts';

/** Some codes as RFC 7541 appendix B prints them: symbol, code, bits. */
const codes: readonly (readonly [symbol: number, code: number, bits: number])[] = [
  [0, 0x1ff8, 13],
  [10, 0x3ffffffc, 30],
  [13, 0x3ffffffd, 30],
  [22, 0x3ffffffe, 30],
  [32, 0x14, 6],
  [48, 0x0, 5],
  [49, 0x1, 5],
  [58, 0x5c, 7],
  [88, 0xfc, 8],
  [92, 0x7fff0, 19],
  [97, 0x3, 5],
  [122, 0x7b, 7],
  [195, 0x7fff1, 19],
  [208, 0x7fff2, 19],
  [249, 0xffffffe, 28],
  [255, 0x3ffffee, 26],
];

/** Codes one after the other, padded with `padding` bits. */
function bitsOf(symbols: readonly number[], padding = '1'): Buffer {
  let bits = '';
  for (const symbol of symbols) {
    const [, code, length] = codes.find(([one]) => one === symbol)!;
    bits += code.toString(2).padStart(length, '0');
  }
  while (bits.length % 8 !== 0) bits += padding;
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

function decode(bytes: Buffer): string | null {
  const out = Buffer.alloc(decodedBytesMax(bytes.length));
  const length = decodeHuffman(bytes, 0, bytes.length, out);
  return length < 0 ? null : out.toString('latin1', 0, length);
}

test('strings of RFC 7541 appendix C are decoded', () => {
  expect(decode(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'))).toBe('www.example.com');
  expect(decode(hex('a8eb 1064 9cbf'))).toBe('no-cache');
  expect(decode(hex('9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3'))).toBe('https://www.example.com');
  expect(decode(Buffer.alloc(0))).toBe('');
});

test('codes of every length give their symbols, in any order', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...codes.map(([symbol]) => symbol))), (symbols) => {
      expect(decode(bitsOf(symbols))).toBe(Buffer.from(symbols).toString('latin1'));
    }),
  );
});

test('padding is less than a byte, and all ones', () => {
  // Three bits of padding after `0`.
  expect(decode(Buffer.from([0b00000_111]))).toBe('0');
  expect(decode(Buffer.from([0b00000_110]))).toBe(null);
  expect(decode(Buffer.from([0b00000_000]))).toBe(null);
  // Eleven, and eight after a code that ends with its byte.
  expect(decode(Buffer.from([0b00000_111, 0xff]))).toBe(null);
  expect(decode(Buffer.from([0xfc]))).toBe('X');
  expect(decode(Buffer.from([0xfc, 0xff]))).toBe(null);
  expect(decode(Buffer.from([0xff]))).toBe(null);
  // Seven after a code of nine bits and more.
  expect(decode(bitsOf([48, 48, 48, 48, 48]))).toBe('00000');
});

test('EOS may not stand in a string, whole or before more', () => {
  expect(decode(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toBe(null);
  expect(decode(Buffer.from([0xff, 0xff, 0xff, 0xfc]))).toBe(null);
  expect(decode(Buffer.from([0b00000_111, 0xff, 0xff, 0xff, 0b111_00000]))).toBe(null);
});

test('any bytes are decoded within their bound, or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const source = Buffer.from(bytes);
      const room = decodedBytesMax(source.length);
      const out = Buffer.alloc(room + 8, 0xaa);
      const length = decodeHuffman(source, 0, source.length, out);
      expect(length).toBeLessThanOrEqual(room);
      expect(out.subarray(room).every((byte) => byte === 0xaa)).toBe(true);
    }),
  );
});
