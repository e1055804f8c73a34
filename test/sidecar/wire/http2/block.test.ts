import { expect, test } from 'vitest';

import { HeaderBlock } from '#sidecar/wire/http2/block.ts';
import { code, flag } from '#sidecar/wire/http2/frames.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';

const { endHeaders, endStream, padded, priority } = flag;

function begin(block: HeaderBlock, flags: number, payload: string, id = 1): number {
  const bytes = Buffer.from(`ff${payload}ff`, 'hex');
  return block.begin(flags, id, bytes, 1, bytes.length - 1);
}

function go(block: HeaderBlock, flags: number, payload: Buffer, id = 1): number {
  return block.continue(flags, id, payload, 0, payload.length);
}

function contentOf(block: HeaderBlock): string {
  return block.bytes.toString('hex', block.from, block.to);
}

test.each([
  [endHeaders, '8286', '8286'],
  [endHeaders, '', ''],
  [endHeaders | padded, '0282860000', '8286'],
  [endHeaders | padded, '00', ''],
  [endHeaders | padded, '020000', ''],
  [endHeaders | priority, '000000000982', '82'],
  [endHeaders | priority, '0000000009', ''],
  [endHeaders | priority | padded, '01000000000982ff', '82'],
])('flags %i on %s leave the fragment %s', (flags, payload, fragment) => {
  const block = new HeaderBlock(http2Limits);
  expect(begin(block, flags, payload)).toBe(code.none);
  expect([block.open, contentOf(block)]).toEqual([false, fragment]);
});

test.each([
  ['padded without a length', padded, '', code.frameSize],
  ['more padding than frame', padded, '0282', code.protocol],
  ['priority that is cut', priority, '00000000', code.frameSize],
  ['priority that padding leaves no room for', padded | priority, '0100000000ff', code.frameSize],
  ['padding into the priority', padded | priority, '09000000000000', code.protocol],
])('%s is an error', (_, flags, payload, error) => {
  expect(begin(new HeaderBlock(http2Limits), flags | endHeaders, payload)).toBe(error);
});

test('the dependency and the end of the stream are told', () => {
  const block = new HeaderBlock(http2Limits);
  begin(block, endHeaders | endStream | priority, '80000007ff', 7);
  expect([block.id, block.endStream, block.dependsOn]).toEqual([7, true, 7]);
  begin(block, endHeaders, '82', 9);
  expect([block.id, block.endStream, block.dependsOn]).toEqual([9, false, -1]);
});

test('fragments are put together, and outlive the frames they came in', () => {
  const block = new HeaderBlock(http2Limits);
  const first = Buffer.from([1, 2]);
  expect(block.begin(endStream, 1, first, 0, 2)).toBe(code.none);
  first.fill(9);
  expect(block.open).toBe(true);
  expect(go(block, 0, Buffer.alloc(0))).toBe(code.none);
  const second = Buffer.from([3]);
  expect(go(block, 0, second)).toBe(code.none);
  second.fill(9);
  expect(go(block, endHeaders, Buffer.from([4, 5]))).toBe(code.none);
  expect([block.open, block.endStream, contentOf(block)]).toEqual([false, true, '0102030405']);
});

test('CONTINUATION goes on only what is open, on its own stream', () => {
  const block = new HeaderBlock(http2Limits);
  expect(go(block, endHeaders, Buffer.alloc(1))).toBe(code.protocol);
  begin(block, 0, '82');
  expect(go(block, endHeaders, Buffer.alloc(1), 3)).toBe(code.protocol);
  begin(block, endHeaders, '82');
  expect(go(block, endHeaders, Buffer.alloc(1))).toBe(code.protocol);
});

test('CONTINUATION is bounded in frames and in bytes', () => {
  const limits = { ...http2Limits, continuationsMax: 3, headBytesMax: 100 };
  const block = new HeaderBlock(limits);
  begin(block, 0, '82');
  for (let i = 0; i < 3; i++) expect(go(block, 0, Buffer.alloc(0))).toBe(code.none);
  expect(go(block, 0, Buffer.alloc(0))).toBe(code.enhanceYourCalm);
  // Another block has its own count.
  begin(block, 0, '82');
  expect(go(block, 0, Buffer.alloc(99))).toBe(code.none);
  expect(go(block, 0, Buffer.alloc(1))).toBe(code.enhanceYourCalm);
});
