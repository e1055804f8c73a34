import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { decodeBlock, hex, type Field } from '#test/sidecar/wire/http2/fields.ts';

const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
const later = 'Mon, 21 Oct 2013 20:13:22 GMT';
const url = 'https://www.example.com';
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

const requests: readonly (readonly Field[])[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];
const responses: readonly (readonly Field[])[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', date],
    ['location', url],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', date],
    ['location', url],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', later],
    ['location', url],
    ['content-encoding', 'gzip'],
    ['set-cookie', cookie],
  ],
];

const sequences: readonly {
  name: string;
  tableBytes: number;
  blocks: readonly string[];
  fields: readonly (readonly Field[])[];
  /** What the dynamic table holds at the end, the newest first. */
  table: readonly Field[];
}[] = [
  {
    name: 'C.2.1',
    tableBytes: 4096,
    blocks: ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'],
    fields: [[['custom-key', 'custom-header']]],
    table: [['custom-key', 'custom-header']],
  },
  {
    name: 'C.2.2',
    tableBytes: 4096,
    blocks: ['040c 2f73 616d 706c 652f 7061 7468'],
    fields: [[[':path', '/sample/path']]],
    table: [],
  },
  {
    name: 'C.2.3',
    tableBytes: 4096,
    blocks: ['1008 7061 7373 776f 7264 0673 6563 7265 74'],
    fields: [[['password', 'secret']]],
    table: [],
  },
  {
    name: 'C.2.4',
    tableBytes: 4096,
    blocks: ['82'],
    fields: [[[':method', 'GET']]],
    table: [],
  },
  {
    name: 'C.3',
    tableBytes: 4096,
    blocks: [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    fields: requests,
    table: [
      ['custom-key', 'custom-value'],
      ['cache-control', 'no-cache'],
      [':authority', 'www.example.com'],
    ],
  },
  {
    name: 'C.4',
    tableBytes: 4096,
    blocks: [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    fields: requests,
    table: [
      ['custom-key', 'custom-value'],
      ['cache-control', 'no-cache'],
      [':authority', 'www.example.com'],
    ],
  },
  {
    name: 'C.5',
    tableBytes: 256,
    blocks: [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
       3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
       677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
       553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
    fields: responses,
    table: [
      ['set-cookie', cookie],
      ['content-encoding', 'gzip'],
      ['date', later],
    ],
  },
  {
    name: 'C.6',
    tableBytes: 256,
    blocks: [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
       919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
       821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
       4ee5 b106 3d50 07`,
    ],
    fields: responses,
    table: [
      ['set-cookie', cookie],
      ['content-encoding', 'gzip'],
      ['date', later],
    ],
  },
];

test.each(sequences)('RFC 7541 $name is decoded, byte for byte', (one) => {
  const decoder = new HpackDecoder(one.tableBytes);
  one.blocks.forEach((block, i) => {
    expect(decodeBlock(decoder, hex(block))).toEqual(one.fields[i]);
  });
  const indices = one.table.map((_, i) => 0x80 | (62 + i));
  expect(decodeBlock(decoder, Buffer.from(indices))).toEqual(one.table);
  expect(decodeBlock(decoder, Buffer.from([0x80 | (62 + one.table.length)]))).toBe(null);
});

test('integers are those of RFC 7541 C.1', () => {
  const decoder = new HpackDecoder(1337);
  expect(decodeBlock(decoder, hex('2a'))).toEqual([]);
  expect(decodeBlock(decoder, hex('3f9a0a'))).toEqual([]);
  expect(decodeBlock(decoder, hex('3f9b0a'))).toBe(null);
});

test('a literal is read at an offset, and nothing behind its end', () => {
  const decoder = new HpackDecoder();
  const list: string[] = [];
  const block = Buffer.from('ffff0001610162ffff', 'hex');
  const good = decoder.decode(block, 2, 7, {
    field: (names, from, to) => list.push(names.toString('latin1', from, to)),
  });
  expect([good, list]).toEqual([true, ['a']]);
  expect(decoder.decode(block, 2, 6, { field: () => {} })).toBe(false);
});

/** An entry, so that the table has one. */
const added = '4001 6101 62';

const malformed: readonly (readonly [what: string, block: string])[] = [
  ['index 0', '80'],
  ['an index beyond the static table', 'be'],
  ['an index beyond the dynamic table', `${added} bf`],
  ['a name beyond the dynamic table', '7e 0162'],
  ['a name beyond it, not indexed', '0f 2f 0162'],
  ['a huge index', 'ff ffff ff7f'],
  ['an integer without an end', 'ff'],
  ['an integer without an end, later', 'ff 80'],
  ['an integer over every bound', 'ff 8080 8080 01'],
  ['an integer of endless zeros', 'ff 8080 8080 8080 8000'],
  ['a literal without a name', '40'],
  ['a name that is cut', '40 03 61'],
  ['a name of huge length', '40 7f ffff ff7f 61'],
  ['a literal without a value', '40 01 61'],
  ['a value that is cut', '40 01 61 02 62'],
  ['a value length without an end', '40 01 61 7f'],
  ['a name of the static table without a value', '44'],
  ['a Huffman string with EOS', '40 01 61 84 ffff ffff'],
  ['a Huffman string with a byte of padding', '40 01 61 82 07ff'],
  ['a Huffman string padded with zeros', '40 01 61 81 00'],
  ['a Huffman name padded with zeros', '40 81 00 01 61'],
  ['a size over ours', '3f e2 1f'],
  ['a size that is no integer', '3f'],
  ['a size after a field', '82 20'],
  ['a size between fields', '82 20 82'],
  ['three sizes', '20 20 20 82'],
];

test.each(malformed)('%s is a compression error', (_, block) => {
  expect(decodeBlock(new HpackDecoder(), hex(block))).toBe(null);
});

test('two sizes may come at the beginning, the largest of ours is one of them', () => {
  const decoder = new HpackDecoder();
  expect(decodeBlock(decoder, hex(added))).toEqual([['a', 'b']]);
  expect(decodeBlock(decoder, hex('3f e1 1f be'))).toEqual([['a', 'b']]);
  // To nothing and back evicts all.
  expect(decodeBlock(decoder, hex('20 3f e1 1f 82'))).toEqual([[':method', 'GET']]);
  expect(decodeBlock(decoder, hex('be'))).toBe(null);
});

test('a smaller table evicts the oldest', () => {
  const decoder = new HpackDecoder();
  decodeBlock(decoder, hex('4001 6101 31 4001 6101 32 4001 6101 33'));
  // 68 bytes: two entries of 34.
  expect(decodeBlock(decoder, hex('3f 25 be bf'))).toEqual([
    ['a', '3'],
    ['a', '2'],
  ]);
  expect(decodeBlock(decoder, hex('c0'))).toBe(null);
});

test('a name of an entry that is evicted by its own literal is kept', () => {
  const decoder = new HpackDecoder(70);
  decodeBlock(decoder, hex('4003 616263 01 31'));
  // Name of index 62, a value of 30 bytes: 65 in all, so the first goes.
  const value = '61'.repeat(30);
  expect(decodeBlock(decoder, hex(`7e 1e ${value}`))).toEqual([['abc', 'a'.repeat(30)]]);
  expect(decodeBlock(decoder, hex('be'))).toEqual([['abc', 'a'.repeat(30)]]);
  expect(decodeBlock(decoder, hex('bf'))).toBe(null);
});

test('an entry larger than the table is given on, and empties the table', () => {
  const decoder = new HpackDecoder(64);
  decodeBlock(decoder, hex(added));
  const value = '61'.repeat(40);
  expect(decodeBlock(decoder, hex(`4001 61 28 ${value}`))).toEqual([['a', 'a'.repeat(40)]]);
  expect(decodeBlock(decoder, hex('be'))).toBe(null);
});
