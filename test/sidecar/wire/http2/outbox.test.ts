import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { FrameWriter } from '#sidecar/wire/http2/frame-writer.ts';
import { firstWindowBytes, windowMax } from '#sidecar/wire/http2/frames.ts';
import { Outbox, type OutboxOwner } from '#sidecar/wire/http2/outbox.ts';
import { Http2Stream, type StreamOwner } from '#sidecar/wire/http2/stream.ts';
import { Trailers } from '#sidecar/wire/trailers.ts';

interface Sent {
  readonly id: number;
  readonly payload: string;
  readonly ends: boolean;
}

/** A socket that takes nothing until it is told to. */
class Held extends Writable {
  readonly written: Buffer[] = [];
  hold = false;
  private done: (() => void) | null = null;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    if (this.hold) this.done = done;
    else done();
  }

  release(): void {
    const { done } = this;
    this.done = null;
    done?.();
  }
}

/** An outbox, its streams, and whoever sends on them. */
class Bench implements OutboxOwner, StreamOwner {
  readonly socket = new Held({ highWaterMark: 16_384 });
  readonly writer = new FrameWriter(this.socket as unknown as Socket);
  readonly outbox = new Outbox(this.writer, this);
  readonly streams: Http2Stream[] = [];
  readonly trailersOf: number[] = [];
  readonly writableOf: number[] = [];
  onWritable: (stream: Http2Stream) => void = () => {};
  dataFrames = 0;

  add(sendWindow = firstWindowBytes): Http2Stream {
    const stream = new Http2Stream(2 * this.streams.length + 1, this, sendWindow, 0);
    stream.handler = {
      data: () => true,
      writable: () => {
        this.writableOf.push(stream.id);
        this.onWritable(stream);
      },
      gone: () => {},
    };
    this.streams.push(stream);
    return stream;
  }

  send(stream: Http2Stream, buffer: Buffer, from: number, to: number, last: boolean): boolean {
    return this.outbox.send(stream, buffer, from, to, last);
  }

  sendTrailers(stream: Http2Stream, trailers: Trailers): void {
    this.outbox.sendTrailers(stream, trailers);
  }

  credit(): void {}

  reset(stream: Http2Stream): void {
    stream.closed = true;
    this.outbox.forget(stream);
  }

  localEnd(stream: Http2Stream): void {
    expect(stream.localEnded).toBe(false);
    stream.localEnded = true;
  }

  writeTrailers(stream: Http2Stream): void {
    this.trailersOf.push(stream.id);
    this.localEnd(stream);
  }

  sentData(): void {
    this.dataFrames++;
  }

  /** The socket takes all that it held. */
  drain(): void {
    this.socket.release();
    this.writer.flush();
    this.socket.release();
    this.writer.full = false;
    this.outbox.pump();
    this.writer.flush();
  }

  /** DATA frames in the order they were written. */
  frames(): Sent[] {
    this.writer.flush();
    const bytes = Buffer.concat(this.socket.written);
    const frames: Sent[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = bytes.readUIntBE(at, 3);
      expect(bytes[at + 3]).toBe(0);
      expect(length).toBeLessThanOrEqual(16_384);
      const payload = bytes.toString('latin1', at + 9, at + 9 + length);
      frames.push({ id: bytes.readUInt32BE(at + 5), payload, ends: bytes[at + 4] === 1 });
      at += 9 + length;
    }
    return frames;
  }

  content(stream: Http2Stream): string {
    return this.frames()
      .filter(({ id }) => id === stream.id)
      .map(({ payload }) => payload)
      .join('');
  }
}

function text(stream: Http2Stream, body: string, last = false): boolean {
  const bytes = Buffer.from(body);
  const more = stream.send(bytes, 0, bytes.length, last);
  // What could not go was copied.
  bytes.fill(0x21);
  return more;
}

test('what windows let pass goes at once, in frames of 16 KiB', () => {
  const bench = new Bench();
  const stream = bench.add();
  expect(text(stream, 'a'.repeat(40_000), true)).toBe(true);
  expect(bench.frames().map(({ payload, ends }) => [payload.length, ends])).toEqual([
    [16_384, false],
    [16_384, false],
    [7_232, true],
  ]);
  expect([stream.sendWindow, bench.outbox.window]).toEqual([25_535, 25_535]);
  expect(bench.dataFrames).toBe(3);
});

test('an empty end needs no window, and an empty piece that is no end writes nothing', () => {
  const bench = new Bench();
  const stream = bench.add(0);
  expect(text(stream, '')).toBe(true);
  expect(bench.frames()).toEqual([]);
  expect(text(stream, '', true)).toBe(true);
  expect(bench.frames()).toEqual([{ id: 1, payload: '', ends: true }]);
});

test('what a window holds back waits for it, ends once, and its sender is told in between', () => {
  const bench = new Bench();
  const stream = bench.add(3);
  expect(text(stream, 'abcdef')).toBe(false);
  expect(bench.content(stream)).toBe('abc');
  stream.sendWindow += 2;
  bench.outbox.pump();
  expect([bench.content(stream), bench.writableOf]).toEqual(['abcde', []]);
  stream.sendWindow += 10;
  bench.outbox.pump();
  expect([bench.content(stream), bench.writableOf]).toEqual(['abcdef', [1]]);
  bench.outbox.pump();
  expect(bench.writableOf).toEqual([1]);
  text(stream, 'g', true);
  expect(bench.frames().at(-1)).toEqual({ id: 1, payload: 'g', ends: true });
});

test('a window that SETTINGS made negative lets nothing pass', () => {
  const bench = new Bench();
  const stream = bench.add(-5);
  text(stream, 'abc', true);
  stream.sendWindow += 5;
  bench.outbox.pump();
  expect(bench.frames()).toEqual([]);
  stream.sendWindow += 3;
  bench.outbox.pump();
  expect(bench.frames()).toEqual([{ id: 1, payload: 'abc', ends: true }]);
});

test('trailers come after all content, and at once when there is none left', () => {
  const bench = new Bench();
  const [first, second] = [bench.add(1), bench.add()];
  text(first, 'ab');
  first.sendTrailers(new Trailers());
  expect(bench.trailersOf).toEqual([]);
  first.sendWindow += 1;
  bench.outbox.pump();
  expect([bench.content(first), bench.trailersOf, bench.writableOf]).toEqual(['ab', [1], []]);
  second.sendTrailers(new Trailers());
  expect(bench.trailersOf).toEqual([1, 3]);
});

test('a stream that is forgotten sends no more', () => {
  const bench = new Bench();
  const [first, second] = [bench.add(1), bench.add(1)];
  text(first, 'ab', true);
  text(second, 'cd');
  second.sendTrailers(new Trailers());
  first.reset(8);
  second.reset(8);
  first.sendWindow = second.sendWindow = 100;
  bench.outbox.pump();
  expect(bench.frames().map(({ payload }) => payload)).toEqual(['a', 'c']);
  expect(bench.trailersOf).toEqual([]);
  expect(text(first, 'more')).toBe(true);
});

test('streams that wait for the connection take turns, a frame each', () => {
  const bench = new Bench();
  bench.outbox.window = 0;
  const streams = [bench.add(1e6), bench.add(1e6), bench.add(1e6)];
  for (const stream of streams) text(stream, 'x'.repeat(40_000), true);
  bench.outbox.open(120_000);
  bench.outbox.pump();
  expect(bench.frames().map(({ id }) => id)).toEqual([1, 3, 5, 1, 3, 5, 1, 3, 5]);
});

test('who comes later does not pass those who wait for the connection', () => {
  const bench = new Bench();
  bench.outbox.window = 10;
  const [first, second] = [bench.add(), bench.add()];
  text(first, 'a'.repeat(20), true);
  expect(text(second, 'b', true)).toBe(false);
  bench.outbox.open(5);
  bench.outbox.pump();
  bench.outbox.open(20);
  bench.outbox.pump();
  expect(bench.frames().map(({ id, payload }) => [id, payload.length])).toEqual([
    [1, 10],
    [1, 5],
    [3, 1],
    [1, 5],
  ]);
});

test('a stream that waits for its own window holds up no other', () => {
  const bench = new Bench();
  bench.outbox.window = 10_000;
  const [slow, quick] = [bench.add(100), bench.add()];
  expect(text(slow, 'a'.repeat(200), true)).toBe(false);
  expect(text(quick, 'b'.repeat(50), true)).toBe(true);
  expect(bench.content(quick)).toBe('b'.repeat(50));
});

test('a window grows to 2^31-1 and not beyond', () => {
  const bench = new Bench();
  expect(bench.outbox.open(windowMax - firstWindowBytes)).toBe(true);
  expect(bench.outbox.open(1)).toBe(false);
});

test('a full socket makes streams wait, those that sent all of theirs too', () => {
  const bench = new Bench();
  bench.socket.hold = true;
  bench.outbox.window = windowMax;
  const [first, second] = [bench.add(windowMax), bench.add(windowMax)];
  let more = true;
  let bytes = 0;
  for (; more && bytes < 1e7; bytes += 50_000) more = text(first, 'a'.repeat(50_000));
  expect(more).toBe(false);
  expect(bytes).toBeLessThan(1_000_000);
  expect(text(second, 'b', true)).toBe(false);
  expect(bench.frames().filter(({ id }) => id === 3)).toEqual([]);
  bench.socket.hold = false;
  bench.drain();
  expect(bench.writableOf).toEqual([1]);
  expect(bench.content(first).length).toBe(bytes);
  expect(bench.content(second)).toBe('b');
});

const streamCount = 4;
const someStream = fc.nat(streamCount - 1);
const someSize = fc.oneof(fc.nat(20), fc.nat(40_000));
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      stream: someStream,
      size: someSize,
      last: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('trailers' as const), stream: someStream }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('window' as const),
      stream: someStream,
      size: someSize,
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('connection' as const), size: someSize }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('settings' as const),
      size: fc.integer({ min: -30_000, max: 30_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('full' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drain' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), stream: someStream }) },
);

/** What the peer knows: it let so much come, and no more may. */
class Peer {
  connection = 2_000;
  readonly windows = Array.from({ length: streamCount }, () => 1_000);
  readonly expected = Array.from({ length: streamCount }, () => '');
  readonly asked = Array.from({ length: streamCount }, () => '' as '' | 'data' | 'trailers');
  private read = 0;
  readonly got = Array.from({ length: streamCount }, () => '');
  readonly ended = Array.from({ length: streamCount }, () => 0);

  take(bench: Bench): void {
    const frames = bench.frames();
    for (; this.read < frames.length; this.read++) {
      const { id, payload, ends } = frames[this.read]!;
      const at = (id - 1) / 2;
      this.connection -= payload.length;
      this.windows[at]! -= payload.length;
      if (payload.length > 0) {
        expect(this.connection).toBeGreaterThanOrEqual(0);
        expect(this.windows[at]).toBeGreaterThanOrEqual(0);
      }
      expect(this.ended[at]).toBe(0);
      this.got[at] += payload;
      if (ends) this.ended[at]!++;
    }
  }
}

test('windows hold, all arrives once and in order, and nothing waits that could go', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bench = new Bench();
      const peer = new Peer();
      bench.outbox.window = peer.connection;
      const streams = peer.windows.map((window) => bench.add(window));
      let byte = 0;
      const grow = (at: number, size: number): void => {
        peer.windows[at]! += size;
        streams[at]!.sendWindow += size;
      };
      for (const one of steps) {
        if (one.kind === 'send') {
          if (peer.asked[one.stream] !== '' || streams[one.stream]!.closed) continue;
          const body = String.fromCharCode(97 + (byte++ % 26)).repeat(one.size);
          if (one.last) peer.asked[one.stream] = 'data';
          peer.expected[one.stream] += body;
          text(streams[one.stream]!, body, one.last);
        } else if (one.kind === 'trailers') {
          if (peer.asked[one.stream] !== '' || streams[one.stream]!.closed) continue;
          peer.asked[one.stream] = 'trailers';
          streams[one.stream]!.sendTrailers(new Trailers());
        } else if (one.kind === 'window') grow(one.stream, one.size);
        else if (one.kind === 'settings') for (const i of streams.keys()) grow(i, one.size);
        else if (one.kind === 'full') bench.writer.full = true;
        else if (one.kind === 'reset') streams[one.stream]!.reset(8);
        else if (one.kind === 'drain') bench.writer.full = false;
        else {
          peer.connection += one.size;
          bench.outbox.open(one.size);
        }
        if (/window|settings|connection|drain/.test(one.kind)) bench.outbox.pump();
        peer.take(bench);
        const stuck = streams.filter(
          (stream) =>
            stream.queue.length > 0 &&
            (stream.queue[0]!.length === 0 || (stream.sendWindow > 0 && bench.outbox.window > 0)),
        );
        if (!bench.writer.full) expect(stuck.map(({ id }) => id)).toEqual([]);
      }
      // The peer opens all there is.
      bench.writer.full = false;
      bench.outbox.open(1e8);
      peer.connection += 1e8;
      for (const i of streams.keys()) grow(i, 1e7);
      bench.outbox.pump();
      peer.take(bench);
      for (const [i, stream] of streams.entries()) {
        if (stream.closed) {
          expect(peer.expected[i]!.startsWith(peer.got[i]!)).toBe(true);
          continue;
        }
        expect(peer.got[i] === peer.expected[i]).toBe(true);
        expect(peer.ended[i]).toBe(peer.asked[i] === 'data' ? 1 : 0);
        expect(bench.trailersOf.includes(stream.id)).toBe(peer.asked[i] === 'trailers');
      }
    }),
    { numRuns: 150 },
  );
});

test('a sender that fills whatever opens gets its bytes through, and others theirs', () => {
  const bench = new Bench();
  const streams = [bench.add(), bench.add(), bench.add()];
  const left = new Map<Http2Stream, number>(streams.map((stream) => [stream, 60]));
  const go = (stream: Http2Stream): void => {
    for (let more = true; more && left.get(stream)! > 0;) {
      const count = left.get(stream)! - 1;
      left.set(stream, count);
      more = text(stream, 'x'.repeat(5_000), count === 0);
    }
  };
  bench.onWritable = go;
  for (const stream of streams) go(stream);
  for (let i = 0; i < 100; i++) {
    for (const stream of streams) stream.sendWindow += 10_000;
    bench.outbox.open(20_000);
    bench.outbox.pump();
    const sent = streams.map((stream) => bench.content(stream).length);
    // Each is at most the windows of a few rounds behind.
    if (!streams.some(({ localEnded }) => localEnded)) {
      expect(Math.max(...sent) - Math.min(...sent)).toBeLessThan(80_000);
    }
  }
  expect(streams.map((stream) => bench.content(stream).length)).toEqual([3e5, 3e5, 3e5]);
  expect(bench.frames().filter(({ ends }) => ends).length).toBe(3);
});
