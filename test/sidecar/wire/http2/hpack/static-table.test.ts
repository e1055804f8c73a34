import { expect, test } from 'vitest';

import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { staticCount, staticNames } from '#sidecar/wire/http2/hpack/static-table.ts';
import { decodeBlock } from '#test/sidecar/wire/http2/fields.ts';

test('the static table has the 61 entries of RFC 7541 appendix A, each at its index', () => {
  expect(staticCount).toBe(61);
  const at = (index: number): unknown =>
    decodeBlock(new HpackDecoder(), Buffer.from([0x80 | index]));
  expect(at(1)).toEqual([[':authority', '']]);
  expect(at(2)).toEqual([[':method', 'GET']]);
  expect(at(5)).toEqual([[':path', '/index.html']]);
  expect(at(14)).toEqual([[':status', '500']]);
  expect(at(16)).toEqual([['accept-encoding', 'gzip, deflate']]);
  expect(at(19)).toEqual([['accept', '']]);
  expect(at(38)).toEqual([['host', '']]);
  expect(at(55)).toEqual([['set-cookie', '']]);
  expect(at(58)).toEqual([['user-agent', '']]);
  expect(at(61)).toEqual([['www-authenticate', '']]);
  expect(at(62)).toBe(null);
});

test('names are in it once, with their first index', () => {
  const names = [...staticNames()];
  expect(new Set(names.map(([name]) => name)).size).toBe(names.length);
  expect(names.length).toBe(52);
  expect(new Map(names).get(':status')).toBe(8);
});
