import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { FrameReader } from '#sidecar/wire/http2/frame-reader.ts';
import type { FrameHandler } from '#sidecar/wire/http2/frame-reader.ts';
import { code, flag, frame, PREFACE } from '#sidecar/wire/http2/frames.ts';

import { frameOf } from './rig.ts';

/** What the reader tells, DATA put together again. */
class Log implements FrameHandler {
  readonly all: string[] = [];
  stopAfter = Infinity;
  reader: FrameReader | null = null;
  private parts: string[] = [];
  private lasts = 0;

  frame(type: number, flags: number, id: number, payload: Buffer, from: number, to: number): void {
    this.say(`${type} ${flags} ${id} ${payload.toString('hex', from, to)}`);
  }

  dataBegin(flags: number, id: number, bytes: number): void {
    this.parts = [];
    this.lasts = 0;
    this.say(`data ${flags} ${id} ${bytes}`);
  }

  dataPart(buffer: Buffer, from: number, to: number, last: boolean): void {
    this.parts.push(buffer.toString('hex', from, to));
    if (this.lasts > 0) this.say('a part after the last');
    if (!last) return;
    this.lasts++;
    this.say(`content ${this.parts.join('')}`);
  }

  readError(reason: number, message: string): void {
    this.say(`error ${reason} ${message}`);
  }

  private say(line: string): void {
    this.all.push(line);
    if (this.all.length === this.stopAfter) this.reader?.stop();
  }
}

/** Pieces are overwritten after they were given, as a read buffer is. */
function read(bytes: Buffer, cuts: readonly number[] = [], preface = false, stopAfter = 0): Log {
  const log = new Log();
  if (stopAfter > 0) log.stopAfter = stopAfter;
  const reader = new FrameReader(log, preface);
  log.reader = reader;
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  ends.sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    const piece = Buffer.concat([Buffer.from('xx'), bytes.subarray(from, end), Buffer.from('yy')]);
    reader.push(piece, 2, piece.length - 2);
    piece.fill(0x21);
    from = end;
  }
  return log;
}

const someFrame = fc
  .record({
    type: fc.oneof(fc.constant(0), fc.nat(12)),
    flags: fc.oneof(fc.constantFrom(0, 1, 4, 8, 9), fc.nat(255)),
    id: fc.oneof(fc.nat(9), fc.constant(0xffff_ffff)),
    payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(16_384))),
    pad: fc.nat(12),
  })
  .map(({ type, flags, id, payload, pad }) => {
    if (type !== 0 || (flags & flag.padded) === 0)
      return frameOf(type, flags, id, Buffer.from(payload));
    const content = Buffer.from(payload.subarray(0, 100));
    return frameOf(
      type,
      flags,
      id,
      Buffer.concat([Buffer.from([pad]), content, Buffer.alloc(pad)]),
    );
  });

test('frames are the same however their bytes are split', () => {
  const cuts = fc.array(fc.nat(), { maxLength: 30 });
  fc.assert(
    fc.property(
      fc.array(someFrame, { maxLength: 8 }),
      cuts,
      fc.nat(12),
      (frames, at, stopAfter) => {
        const bytes = Buffer.concat([PREFACE, ...frames]);
        const whole = read(bytes, [], true, stopAfter);
        expect(read(bytes, at, true, stopAfter).all).toEqual(whole.all);
        if (stopAfter === 0) expect(whole.all.some((line) => line.startsWith('error'))).toBe(false);
      },
    ),
    { numRuns: 300 },
  );
});

test('a byte at a time, and any bytes at all, give what the same bytes at once give', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (random) => {
      const bytes = Buffer.from(random);
      // Small lengths, so that there is more than one frame.
      for (let i = 0; i < bytes.length; i += 11) bytes.fill(0, i, Math.min(bytes.length, i + 2));
      const each = Array.from({ length: bytes.length }, (_, i) => i);
      expect(read(bytes, each).all).toEqual(read(bytes).all);
    }),
    { numRuns: 500 },
  );
});

test('the reserved bit of a stream number is ignored', () => {
  expect(read(frameOf(frame.ping, 0, 0x8000_0003, 'abcdefgh')).all).toEqual([
    `6 0 3 ${Buffer.from('abcdefgh').toString('hex')}`,
  ]);
});

test('empty frames are told, those of DATA too', () => {
  expect(read(Buffer.concat([frameOf(4, 1, 0), frameOf(0, 1, 1), frameOf(9, 4, 1)])).all).toEqual([
    '4 1 0 ',
    'data 1 1 0',
    'content ',
    '9 4 1 ',
  ]);
});

test('padding is counted but is no content, and may be all there is', () => {
  const padded = (payload: string): string[] =>
    read(Buffer.concat([frameOf(0, 8, 1, Buffer.from(payload, 'hex')), frameOf(6, 0, 0)])).all;
  expect(padded('0261620000')).toEqual(['data 8 1 5', 'content 6162', '6 0 0 ']);
  expect(padded('006162')).toEqual(['data 8 1 3', 'content 6162', '6 0 0 ']);
  expect(padded('00')).toEqual(['data 8 1 1', 'content ', '6 0 0 ']);
  expect(padded('03000000')).toEqual(['data 8 1 4', 'content ', '6 0 0 ']);
  // As long as the payload, or longer (RFC 9113 6.1).
  expect(padded('0400 0000'.replace(' ', ''))).toEqual([
    'data 8 1 4',
    `error ${code.protocol} more padding than frame`,
  ]);
  expect(padded('01')).toEqual(['data 8 1 1', `error ${code.protocol} more padding than frame`]);
  expect(padded('')[0]).toMatch(new RegExp(`^error ${code.frameSize} `));
});

test('a frame of 16384 bytes is read, one byte more is an error before it has come', () => {
  expect(read(frameOf(frame.headers, 0, 1, Buffer.alloc(16_384))).all.length).toBe(1);
  for (const type of [frame.data, frame.headers, 200]) {
    const head = frameOf(type, 0, 1, Buffer.alloc(16_385)).subarray(0, 9);
    expect(read(head).all).toEqual([`error ${code.frameSize} a frame of 16385 bytes`]);
  }
});

test('nothing is read after an error', () => {
  const bytes = Buffer.concat([frameOf(0, 8, 1, Buffer.from([9])), frameOf(6, 0, 0, 'abcdefgh')]);
  const log = read(bytes);
  expect(log.all.length).toBe(2);
});

test('the preface is whole or an error at its first wrong byte', () => {
  expect(read(PREFACE, [], true).all).toEqual([]);
  for (let i = 0; i < PREFACE.length; i++) {
    const wrong = Buffer.from(PREFACE.subarray(0, i + 1));
    wrong[i]! ^= 0x20;
    expect(read(wrong, [], true).all).toEqual([`error ${code.protocol} no preface`]);
  }
});

test('it tells whether something has begun', () => {
  const reader = new FrameReader(new Log(), true);
  const begun = (bytes: Buffer): boolean => {
    reader.push(bytes, 0, bytes.length);
    return reader.begun;
  };
  expect(begun(Buffer.alloc(0))).toBe(true);
  expect(begun(PREFACE)).toBe(false);
  const ping = frameOf(frame.ping, 0, 0, 'abcdefgh');
  expect(begun(ping.subarray(0, 1))).toBe(true);
  expect(begun(ping.subarray(1, 9))).toBe(true);
  expect(begun(ping.subarray(9))).toBe(false);
  const data = frameOf(frame.data, flag.padded, 1, Buffer.from([1, 97, 0]));
  expect(begun(data.subarray(0, 11))).toBe(true);
  expect(begun(data.subarray(11))).toBe(false);
});
