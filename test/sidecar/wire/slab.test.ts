import { Writable } from 'node:stream';

import { expect, test } from 'vitest';

import { allocate, write, writeCopy } from '#sidecar/wire/slab.ts';

/** Keeps what it is given, and says that it was written only when told. */
class Slow extends Writable {
  readonly kept: Buffer[] = [];
  private readonly waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.kept.push(chunk);
    this.waiting.push(done);
  }

  release(): void {
    this.waiting.shift()?.();
  }
}

test.each([100, 20_000, 60_000, 100_000])(
  'bytes that are not written yet are not overwritten by later ones, %i at a time',
  (size) => {
    const slow = new Slow({ highWaterMark: 1 });
    const sockets = Array.from({ length: 40 }, () => new Slow());
    writeCopy(slow, Buffer.alloc(size, 'a'), 0, size);
    for (const socket of sockets) writeCopy(socket, Buffer.alloc(size, 'b'), 0, size);
    const expected = Buffer.alloc(size, 'a');
    expect(slow.kept[0]!.equals(expected)).toBe(true);
    expect(sockets.every((one) => one.kept[0]!.equals(Buffer.alloc(size, 'b')))).toBe(true);
  },
);

test('memory is used again once its bytes are written, by a socket that lags', async () => {
  const slow = new Slow();
  slow.write('it lags from here on');
  writeCopy(slow, Buffer.alloc(60_000, 'a'), 0, 60_000);
  slow.release();
  const first = slow.kept[1]!;
  slow.release();
  await new Promise((resolve) => setImmediate(resolve));
  slow.write('it lags again');
  writeCopy(slow, Buffer.alloc(60_000, 'b'), 0, 60_000);
  slow.release();
  expect(slow.kept[3]!.buffer).toBe(first.buffer);
});

test('memory is used again at once when a socket takes its bytes at once', () => {
  const kept: Buffer[] = [];
  const quick = new Writable({
    write(chunk: Buffer, _encoding, done) {
      kept.push(chunk);
      done();
    },
  });
  writeCopy(quick, Buffer.alloc(60_000, 'a'), 0, 60_000);
  writeCopy(quick, Buffer.alloc(60_000, 'b'), 0, 60_000);
  expect(kept[1]!.buffer).toBe(kept[0]!.buffer);
});

test('of a piece only what was filled is sent', () => {
  const slow = new Slow();
  for (const room of [1_000, 50_000]) {
    const piece = allocate(room);
    write(slow, piece, piece.write('hello'));
    slow.release();
  }
  expect(slow.kept.map(String)).toEqual(['hello', 'hello']);
});
