import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import { expect, test } from 'vitest';

import { TurnWriter } from '#sidecar/wire/turn-writer.ts';

class Kept extends Writable {
  readonly pieces: string[] = [];
  hold = false;
  private done: (() => void) | null = null;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.pieces.push(chunk.toString('latin1'));
    if (this.hold) this.done = done;
    else done();
  }

  release(): void {
    this.hold = false;
    this.done?.();
  }
}

function writerOf(socket: Writable): TurnWriter {
  return new TurnWriter(socket as unknown as Socket);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what one turn has goes out in one write at its end', async () => {
  const socket = new Kept();
  const other = new Kept();
  const [writer, second] = [writerOf(socket), writerOf(other)];
  writer.text('ab\xe9');
  second.text('x');
  writer.copy(Buffer.from('-cd-'), 1, 3);
  const room = writer.reserve(2);
  room.write('ef', writer.offset);
  writer.wrote(writer.offset + 2);
  expect(socket.pieces).toEqual([]);
  await turn();
  expect([socket.pieces, other.pieces]).toEqual([['ab\xe9cdef'], ['x']]);
  writer.text('again');
  await turn();
  expect(socket.pieces).toEqual(['ab\xe9cdef', 'again']);
});

test('a flush writes now, and the end of the turn writes nothing twice', async () => {
  const socket = new Kept();
  const writer = writerOf(socket);
  writer.text('a');
  expect(writer.flush()).toBe(true);
  expect(socket.pieces).toEqual(['a']);
  expect(writer.flush()).toBe(true);
  await turn();
  expect(socket.pieces).toEqual(['a']);
});

test('more than a sheet holds goes out in order, whatever its size', async () => {
  const socket = new Kept();
  const writer = writerOf(socket);
  const bodies = [50_000, 50_000, 200_000, 3].map((size, i) => String(i).repeat(size));
  for (const body of bodies) writer.copy(Buffer.from(body), 0, body.length);
  await turn();
  expect(socket.pieces.join('') === bodies.join('')).toBe(true);
});

test('bytes that the socket did not take yet are not overwritten', async () => {
  const socket = new Kept({ highWaterMark: 1 });
  socket.hold = true;
  const writer = writerOf(socket);
  writer.text('first');
  expect(writer.flush()).toBe(false);
  expect(writer.copy(Buffer.from('second'), 0, 6)).toBe(false);
  await turn();
  writer.text('third');
  await turn();
  socket.release();
  await turn();
  expect(socket.pieces).toEqual(['first', 'second', 'third']);
});
