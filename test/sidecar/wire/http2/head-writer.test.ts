import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import { expect, test } from 'vitest';

import { FrameReader } from '#sidecar/wire/http2/frame-reader.ts';
import { FrameWriter } from '#sidecar/wire/http2/frame-writer.ts';
import { HeadWriter } from '#sidecar/wire/http2/head-writer.ts';
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { ReplyHead } from '#sidecar/wire/http2/reply-head.ts';

import { decodeBlock, type Field } from './fields.ts';

interface Part {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

function written(use: (heads: HeadWriter) => void): Part[] {
  const chunks: Buffer[] = [];
  const socket = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  const writer = new FrameWriter(socket as unknown as Socket);
  use(new HeadWriter(writer));
  writer.flush();
  const parts: Part[] = [];
  const bytes = Buffer.concat(chunks);
  const reader = new FrameReader(
    {
      frame: (type, flags, id, buffer, from, to) => {
        parts.push({ type, flags, id, payload: Buffer.from(buffer.subarray(from, to)) });
      },
      dataBegin: () => {},
      dataPart: () => {},
      readError: (_, message) => expect.fail(message),
    },
    false,
  );
  reader.push(bytes, 0, bytes.length);
  expect(reader.begun).toBe(false);
  return parts;
}

function fieldsOf(parts: readonly Part[]): readonly Field[] | null {
  return decodeBlock(new HpackDecoder(), Buffer.concat(parts.map(({ payload }) => payload)));
}

test('an answer of our own is its status and its lines, names in lower case', () => {
  const lines = 'content-type: text/plain\r\nServer: selvage\r\nx:\r\ny: a: b\r\n';
  const parts = written((heads) => {
    expect(heads.write(1, new ReplyHead({ status: 403, lines, body: '' }), true)).toBe(true);
  });
  expect(parts.map(({ type, flags, id }) => [type, flags, id])).toEqual([[1, 5, 1]]);
  expect(fieldsOf(parts)).toEqual([
    [':status', '403'],
    ['content-type', 'text/plain'],
    ['server', 'selvage'],
    ['x', ''],
    ['y', 'a: b'],
  ]);
});

test.each([16_000, 16_384, 16_385, 40_000, 200_000])(
  'a block of about %i bytes is HEADERS and as much CONTINUATION as it takes',
  (size) => {
    const lines = `x: ${'a'.repeat(size)}\r\n`;
    const parts = written((heads) => {
      heads.write(3, new ReplyHead({ status: 200, lines, body: '' }), true);
    });
    expect(parts.map(({ type }) => type)).toEqual(parts.map((_, i) => (i === 0 ? 1 : 9)));
    expect(parts.length).toBe(Math.ceil((size + 7) / 16_384));
    expect(parts.every(({ id, payload }) => id === 3 && payload.length <= 16_384)).toBe(true);
    // END_STREAM on the first, END_HEADERS on the last.
    const flags = parts.map((_, i) => (i === 0 ? 1 : 0) | (i === parts.length - 1 ? 4 : 0));
    expect(parts.map((part) => part.flags)).toEqual(flags);
    expect(fieldsOf(parts)).toEqual([
      [':status', '200'],
      ['x', 'a'.repeat(size)],
    ]);
  },
);

test('a head whose edits cannot be sent leaves nothing behind', () => {
  const parts = written((heads) => {
    const bad = { http2BytesMax: () => -1, writeHttp2: () => expect.fail('was written') };
    expect(heads.write(1, bad, true)).toBe(false);
  });
  expect(parts).toEqual([]);
});

test('the first block after a change of the table tells of it', () => {
  const parts = written((heads) => {
    heads.setPeerTableBytesMax(0);
    heads.write(1, new ReplyHead({ status: 200, lines: '', body: '' }), false);
    heads.write(3, new ReplyHead({ status: 200, lines: '', body: '' }), false);
  });
  expect(parts.map(({ payload }) => payload.toString('hex'))).toEqual(['2088', '88']);
});
