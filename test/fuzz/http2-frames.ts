// Fuzzes the server's side of HTTP/2: whatever a client sends, the connection goes on or ends in GOAWAY, and leaks nothing.
import type { Socket } from 'node:net';

import type { Exchange, RequestPath } from '#sidecar/exchange.ts';
import { FrameReader } from '#sidecar/wire/http2/frame-reader.ts';
import { flag, frame } from '#sidecar/wire/http2/frames.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { Http2Connection, type Http2Host } from '#sidecar/wire/http2/server.ts';
import { downstreamOf } from '#test/sidecar/wire/http1/rig.ts';
import { frameOf } from '#test/sidecar/wire/http2/rig.ts';

import { Dice } from './dice.ts';
import { FakeSocket } from './fake-socket.ts';
import { FakeUpstream } from './fake-upstream.ts';
import { FrameMaker } from './frame-maker.ts';

const stepsMax = 60;
const limits = {
  ...http2Limits,
  streamsMax: 12,
  resetsBurst: 40,
  controlsBurst: 60,
  windowUpdatesBurst: 40,
  continuationsMax: 4,
  headBytesMax: 4_096,
  bodyBytesMax: 30_000,
  streamWindowBytes: 40_000,
};

/**
 * @param executions connections to try
 * @returns how many were tried: all of them
 * @throws Error when a rule is broken, with what repeats it
 */
export function fuzzHttp2(seed: number, executions: number): number {
  for (let done = 0; done < executions; done++) {
    const own = seed + done;
    try {
      new Run(new Dice(own)).go();
    } catch (error) {
      throw new Error(`fuzzHttp2(${own}, 1): ${String(error)}`, { cause: error });
    }
  }
  return executions;
}

class Run implements Http2Host, RequestPath {
  readonly limits = limits;
  readonly path = this;
  private readonly dice: Dice;
  private readonly socket = new FakeSocket();
  private readonly upstream: FakeUpstream;
  private readonly frames: FrameMaker;
  private readonly started = new Set<Exchange>();
  private readonly finished = new Set<Exchange>();
  /** Exchanges that a layer has not decided about. */
  private undecided: Exchange[] = [];
  private closedCount = 0;
  private peerEnded = false;

  constructor(dice: Dice) {
    this.dice = dice;
    this.upstream = new FakeUpstream(dice);
    this.frames = new FrameMaker(dice);
  }

  go(): void {
    const socket = this.socket as unknown as Socket;
    const connection = new Http2Connection(this, socket, downstreamOf(socket));
    this.give(
      this.dice.oneIn(30) ? this.dice.mutate(this.frames.opening()) : this.frames.opening(),
    );
    for (let left = this.dice.below(stepsMax); left > 0; left--) this.step(connection);
    this.finishUp(connection);
  }

  // What the connection calls.

  start(exchange: Exchange): void {
    if (this.started.has(exchange)) throw new Error('started twice');
    this.started.add(exchange);
    if (this.dice.oneIn(4)) this.undecided.push(exchange);
    else this.decide(exchange);
  }

  respond(): void {}

  finish(exchange: Exchange): void {
    if (!this.started.has(exchange)) throw new Error('finished before it started');
    if (this.finished.has(exchange)) throw new Error('finished twice');
    this.finished.add(exchange);
  }

  unheard(exchange: Exchange): void {
    if (this.started.has(exchange)) throw new Error('unheard, but started');
    if (exchange.failure === null) throw new Error('unheard without a failure');
  }

  closed(): void {
    this.closedCount++;
  }

  private decide(exchange: Exchange): void {
    const { dice } = this;
    const { stream } = exchange;
    if (dice.oneIn(3))
      stream.reply(dice.of([200, 403, 204]), '', 'y'.repeat(dice.below(40_000)), false);
    else if (dice.oneIn(20)) stream.cutOff();
    else stream.forward(this.upstream);
  }

  private step(connection: Http2Connection): void {
    const { dice, socket } = this;
    const bytes: Buffer[] = [];
    for (let count = 1 + dice.below(3); count > 0; count--) bytes.push(this.frames.next());
    this.give(Buffer.concat(bytes));
    this.upstream.step();
    if (dice.oneIn(4)) {
      const decided = this.undecided;
      this.undecided = [];
      for (const exchange of decided) this.decide(exchange);
    }
    if (dice.oneIn(12)) socket.blocked = true;
    if (dice.oneIn(6)) socket.drain();
    if (dice.oneIn(150)) connection.drain(dice.oneIn(2));
    if (dice.oneIn(300)) {
      this.peerEnded = true;
      socket.emit('end');
    }
  }

  /** In pieces, each overwritten after it was read, as a read buffer is not, but may be. */
  private give(bytes: Buffer): void {
    const { dice } = this;
    for (let at = 0; at < bytes.length;) {
      const size = dice.oneIn(2) ? bytes.length - at : 1 + dice.below(bytes.length - at);
      this.socket.emit('data', Buffer.from(bytes.subarray(at, at + size)));
      at += size;
    }
  }

  private finishUp(connection: Http2Connection): void {
    const { socket } = this;
    socket.drain();
    const wentOn = !connection.ended;
    const whole = !connection.begun;
    const mark = this.dice.bytes(8);
    if (wentOn && whole) this.give(frameOf(frame.ping, 0, 0, mark));
    const answers = wentOn && whole && !connection.ended;
    if (!connection.ended) connection.close();
    const told = this.read();
    if (answers && !told.pings.has(mark.toString('hex'))) throw new Error('a PING is not answered');
    if (!told.goaway && !this.peerEnded) throw new Error('it ended without GOAWAY');
    socket.close();
    for (const exchange of this.undecided) this.decide(exchange);
    this.upstream.step();
    if (connection.streamCount > 0) throw new Error(`${connection.streamCount} streams leak`);
    if (this.closedCount !== 1) throw new Error(`closed ${this.closedCount} times`);
    const left = [...this.started].filter((exchange) => !this.finished.has(exchange));
    if (left.length > 0) throw new Error(`${left.length} exchanges do not finish`);
  }

  /** What was written must be frames, none of them on a stream whose our side has ended. */
  private read(): { pings: Set<string>; goaway: boolean } {
    const told = { pings: new Set<string>(), goaway: false };
    const ended = new Set<number>();
    const check = (type: number, flags: number, id: number): void => {
      if (id !== 0 && ended.has(id)) throw new Error(`frame ${type} after stream ${id} ended`);
      if ((flags & flag.endStream) !== 0) ended.add(id);
    };
    const reader = new FrameReader(
      {
        frame: (type, flags, id, payload, from, to) => {
          if (type === frame.headers) check(type, flags, id);
          else if (type === frame.rstStream) ended.add(id);
          else if (type === frame.goaway) told.goaway = true;
          else if (type === frame.ping && flags === flag.ack) {
            told.pings.add(payload.toString('hex', from, to));
          }
        },
        dataBegin: (flags, id) => check(frame.data, flags, id),
        dataPart: () => {},
        readError: (_, message) => {
          throw new Error(`written: ${message}`);
        },
      },
      false,
    );
    const { output } = this.socket;
    reader.push(output, 0, output.length);
    if (reader.begun) throw new Error('a frame was not written whole');
    return told;
  }
}
