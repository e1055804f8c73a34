// An upstream that answers at random, one step at a time, within what the engine asks of one.
import type { UpstreamPool } from '#sidecar/exchange.ts';
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { http2Limits } from '#sidecar/wire/http2/limits.ts';
import { Http2ResponseHead } from '#sidecar/wire/http2/response-head.ts';
import { Trailers } from '#sidecar/wire/trailers.ts';
import type { RequestMessage, UpstreamCall, UpstreamStream } from '#sidecar/wire/upstream.ts';

import type { Dice } from './dice.ts';

const answerBytesMax = 60_000;
const none = Buffer.alloc(0);
const content = Buffer.alloc(answerBytesMax, 'x');
const out = Buffer.alloc(256 * 1024);

export class FakeUpstream implements UpstreamPool {
  readonly address = '127.0.0.1:1';
  private readonly dice: Dice;
  private readonly flows = new Set<Flow>();

  constructor(dice: Dice) {
    this.dice = dice;
  }

  request(call: UpstreamCall): void {
    const flow = new Flow(this.dice, call, () => this.flows.delete(flow));
    this.flows.add(flow);
    if (!this.dice.oneIn(3)) flow.grant();
  }

  cancel(call: UpstreamCall): void {
    for (const flow of this.flows) if (flow.call === call) this.flows.delete(flow);
  }

  close(): void {
    this.flows.clear();
  }

  /** Something happens to some of the calls. */
  step(): void {
    for (const flow of this.flows) if (this.dice.oneIn(3)) flow.step();
  }
}

class Flow implements UpstreamStream {
  readonly framed = false;
  connected = true;
  bodyBytes = 0;
  trailerGrpcStatus = '';
  readonly call: UpstreamCall;
  private readonly dice: Dice;
  private readonly over: () => void;
  private granted = false;
  private answered = false;
  /** No more of the answer until `resume`. */
  private paused = false;
  private full = false;
  private tunnel = false;
  private ended = false;

  constructor(dice: Dice, call: UpstreamCall, over: () => void) {
    this.dice = dice;
    this.call = call;
    this.over = over;
    this.connected = !dice.oneIn(4);
  }

  grant(): void {
    this.granted = true;
    this.call.granted(this);
  }

  sendHead(
    request: RequestMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean | null {
    const room = request.http1BytesMax();
    if (room < 0) return null;
    if (room <= out.length && request.writeHttp1(out, 0) > room) throw new Error('a head of more');
    return this.send(buffer, from, to, last);
  }

  send(buffer: Buffer, from: number, to: number, last: boolean): boolean {
    if (from > to || to > buffer.length) throw new Error('bytes that are not there');
    if (this.ended) throw new Error('sent after the end');
    this.ended = last;
    this.full = this.dice.oneIn(4);
    return !this.full;
  }

  sendTrailers(): void {
    if (this.ended) throw new Error('trailers after the end');
    this.ended = true;
  }

  resume(): void {
    this.paused = false;
  }

  abort(): void {
    this.over();
  }

  endTunnel(): void {}

  finishTunnel(): void {
    this.over();
  }

  step(): void {
    const { call, dice } = this;
    if (!this.granted) this.grant();
    else if (!this.connected) {
      this.connected = true;
      call.opened();
    } else if (this.full && dice.oneIn(2)) {
      this.full = false;
      call.drained();
    } else if (dice.oneIn(12)) this.fail();
    else if (this.paused) return;
    else if (!this.answered) this.answer();
    else this.goOn();
  }

  private answer(): void {
    const { call, dice } = this;
    if (dice.oneIn(5)) {
      call.interim(headOf(103));
      return;
    }
    this.answered = true;
    if (call.asksUpgrade) {
      this.tunnel = true;
      this.paused = !call.upgraded(headOf(101), none, 0, 0);
      return;
    }
    const last = dice.oneIn(3);
    const bytes = call.isHead ? 0 : dice.below(2) * dice.below(100);
    if (last) this.over();
    this.bodyBytes += bytes;
    this.paused = !call.head(headOf(dice.of([200, 404, 204])), content, 0, bytes, last);
  }

  private goOn(): void {
    const { call, dice } = this;
    if (this.tunnel && dice.oneIn(5)) {
      this.paused = true;
      call.tunnelEnded();
    } else if (!this.tunnel && dice.oneIn(6)) {
      this.over();
      call.trailers(trailersOf());
    } else {
      const bytes = dice.below(answerBytesMax);
      const last = !this.tunnel && dice.oneIn(3);
      this.bodyBytes += bytes;
      if (last) this.over();
      this.paused = !call.body(content, 0, bytes, last);
    }
  }

  private fail(): void {
    this.over();
    this.call.failed(this.answered ? 'upstream-reset' : 'upstream-connect');
  }
}

function headOf(status: number): Http2ResponseHead {
  const head = new Http2ResponseHead(http2Limits);
  // 101 is no status that HTTP/2 has, but that of an upgrade.
  const block = Buffer.from(`\x08\x03${status === 101 ? 200 : status}\x00\x01x\x01y`, 'latin1');
  head.begin();
  new HpackDecoder().decode(block, 0, block.length, head);
  head.settle();
  return head;
}

function trailersOf(): Trailers {
  const trailers = new Trailers();
  trailers.add('grpc-status', '0');
  return trailers;
}
