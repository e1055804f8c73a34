import { expect, test } from 'vitest';

import { Http2Stream, type StreamOwner } from '#sidecar/wire/http2/stream.ts';
import { Trailers } from '#sidecar/wire/trailers.ts';

/** Writes down what a stream asks for. */
class Log implements StreamOwner {
  readonly all: string[] = [];
  readonly stream = new Http2Stream(1, this, 100, 100);
  room = true;

  constructor() {
    this.stream.handler = {
      data: (_, from, to, last) => {
        this.all.push(`data ${to - from} ${last}`);
        return this.room;
      },
      writable: () => this.all.push('writable'),
      gone: (code) => this.all.push(`gone ${code}`),
    };
  }

  receive(bytes: number, last = false): void {
    this.stream.receive(Buffer.alloc(bytes), 0, bytes, last);
  }

  send(): boolean {
    this.all.push('send');
    return false;
  }

  sendTrailers(): void {
    this.all.push('trailers');
  }

  credit(_: Http2Stream, bytes: number): void {
    this.all.push(`credit ${bytes}`);
  }

  reset(stream: Http2Stream, code: number): void {
    stream.closed = true;
    this.all.push(`reset ${code}`);
  }
}

test('what its user takes is credited at once, the rest when there is room', () => {
  const log = new Log();
  log.receive(5);
  log.room = false;
  log.receive(6);
  log.receive(7, true);
  log.stream.resume();
  log.room = true;
  log.receive(8);
  expect(log.all).toEqual([
    'data 5 false',
    'credit 5',
    'data 6 false',
    'data 7 true',
    'credit 13',
    'data 8 false',
    'credit 8',
  ]);
  expect(log.stream.receivedBytes).toBe(26);
});

test('one that was closed by its user credits what it brings', () => {
  const log = new Log();
  log.room = false;
  log.stream.handler!.data = () => {
    log.stream.reset(8);
    return false;
  };
  log.receive(5);
  expect(log.all).toEqual(['reset 8', 'credit 5']);
});

test('whoever resets it hears no more, and it is reset once', () => {
  const log = new Log();
  log.stream.reset(8);
  log.stream.reset(8);
  log.receive(3);
  expect(log.all).toEqual(['reset 8', 'credit 3']);
});

test('nothing is sent on a closed one, and nobody waits for it', () => {
  const log = new Log();
  expect(log.stream.send(Buffer.alloc(1), 0, 1, false)).toBe(false);
  log.stream.sendTrailers(new Trailers());
  log.stream.reset(8);
  expect(log.stream.send(Buffer.alloc(1), 0, 1, false)).toBe(true);
  log.stream.sendTrailers(new Trailers());
  expect(log.all).toEqual(['send', 'trailers', 'reset 8']);
});

test('once our side is complete the rest of the other is dropped, and asked for no more', () => {
  const log = new Log();
  log.room = false;
  log.receive(5);
  log.stream.finish();
  log.receive(6);
  expect(log.all).toEqual(['data 5 false', 'credit 5', 'credit 6']);
  expect(log.stream.dropsRest).toBe(true);
  const ended = new Log();
  ended.stream.localEnded = true;
  ended.stream.finish();
  expect(ended.all).toEqual(['reset 0']);
  const whole = new Log();
  whole.stream.localEnded = true;
  whole.stream.remoteEnded = true;
  whole.stream.finish();
  expect(whole.all).toEqual([]);
});
